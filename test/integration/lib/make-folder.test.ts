import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolder } from '../../../src/lib/make-folder.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'fogproof-folder-'));
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

describe('makeFolder', () => {
  it('makes what is missing with the mode, and takes what is there', async () => {
    const path = join(base, 'a', 'b');
    await makeFolder(path, 0o700);
    await makeFolder(path, 0o700);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(base, 'a'))).mode & 0o777).toBe(0o700);
  });

  it('serves several at once', async () => {
    const path = join(base, 'x', 'y', 'z');
    await Promise.all(Array.from({ length: 8 }, () => makeFolder(path, 0o700)));
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  it('fails where a file is in the way', async () => {
    await writeFile(join(base, 'file'), '');
    await expect(makeFolder(join(base, 'file'), 0o700)).rejects.toThrow('EEXIST');
    await expect(makeFolder(join(base, 'file', 'below'), 0o700)).rejects.toThrow('ENOTDIR');
  });

  it('fails where the file system makes no folders, instead of trying for ever', async () => {
    await expect(makeFolder('/proc/fogproof/below', 0o700)).rejects.toThrow('ENOENT');
  });
});
