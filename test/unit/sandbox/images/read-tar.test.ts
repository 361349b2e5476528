import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { packLayer } from '../../../../scripts/build-image.ts';
import { readTar } from '../../../../src/sandbox/roots/read-tar.ts';

describe('readTar', () => {
  const read = async (error: Error) =>
    await readTar([Readable.from([await packLayer([{ name: 'a', content: 'x' }])])], () => Promise.reject(error));

  it('blames the host for what its file system lacks, and the archive for what no file system gives', async () => {
    const full = Object.assign(new Error('no space'), { syscall: 'write', code: 'ENOSPC' });
    await expect(read(full)).rejects.toBe(full);
    const links = Object.assign(new Error('too many links'), { syscall: 'link', code: 'EMLINK' });
    await expect(read(links)).rejects.toMatchObject({ code: 'SANDBOX_ROOT_REFUSED' });
  });
});
