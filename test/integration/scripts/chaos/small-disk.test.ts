import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SmallDisk } from '../../../../scripts/chaos/small-disk.ts';

describe('SmallDisk', () => {
  it('is full once it is filled, takes data again once it is freed, and leaves nothing behind', async (context) => {
    const disk = await SmallDisk.open({ sizeBytes: 2 ** 20 });
    const { home } = disk;
    try {
      if (disk.kind !== 'tmpfs') return context.skip('this user may not mount');
      const file = join(home, 'data');
      await writeFile(file, Buffer.alloc(100_000));
      expect(disk.fill(process.pid)).toBe(true);
      await expect(writeFile(join(home, 'more'), Buffer.alloc(100))).rejects.toMatchObject({ code: 'ENOSPC' });
      disk.free(process.pid);
      await writeFile(join(home, 'more'), Buffer.alloc(100_000));
    } finally {
      await disk[Symbol.asyncDispose]();
    }
    expect(existsSync(home)).toBe(false);
  });
});
