import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import tar from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SandboxError } from '../../../../src/sandbox/errors.ts';
import { unpackArchive } from '../../../../src/sandbox/roots/unpack-archive.ts';

type Header = Parameters<ReturnType<typeof tar.pack>['entry']>[0];
type Item = Header & { readonly content?: string };

async function pack(...items: readonly Item[]): Promise<Buffer> {
  const archive = tar.pack();
  for (const { content = '', ...header } of items) archive.entry(header, content);
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

let base: string;
let folder: string;
const MAX_BYTES = 2 ** 20;
const unpack = async (archive: Uint8Array, maxBytes = MAX_BYTES): Promise<number> =>
  await unpackArchive(archive, folder, { maxBytes });

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'fogproof-unpack-'));
  folder = await mkdtemp(join(base, 'root-'));
});
afterEach(async () => await rm(base, { recursive: true, force: true }));

describe('unpackArchive', () => {
  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
  ])('unpacks files, folders and links of a %s tar', async (_what, wrap) => {
    const archive = await pack(
      { name: './', type: 'directory' },
      { name: './bin/', type: 'directory', mode: 0o700 },
      { name: 'bin/program', mode: 0o4755, content: 'program' },
      { name: 'etc/text', mode: 0o600, content: 'text' },
      { name: 'sbin', type: 'symlink', linkname: 'bin' },
      { name: 'etc/mtab', type: 'symlink', linkname: '/proc/mounts' },
      { name: 'bin/other', type: 'link', linkname: 'bin/program' },
    );
    expect(await unpack(wrap(archive))).toBeLessThan(64 * 1024);
    expect(await readFile(join(folder, 'bin/program'), 'utf8')).toBe('program');
    expect((await stat(join(folder, 'bin/program'))).mode & 0o7777).toBe(0o755);
    expect((await stat(join(folder, 'bin'))).mode & 0o7777).toBe(0o755);
    expect((await stat(join(folder, 'etc/text'))).mode & 0o7777).toBe(0o644);
    expect((await stat(join(folder, 'bin/other'))).ino).toBe((await stat(join(folder, 'bin/program'))).ino);
    expect(await readlink(join(folder, 'sbin'))).toBe('bin');
    expect(await readlink(join(folder, 'etc/mtab'))).toBe('/proc/mounts');
  });

  it.each<readonly [string, RegExp, readonly Item[]]>([
    ['an absolute path', /absolute/, [{ name: '/etc/x' }]],
    ['a path that leads out', /leads out/, [{ name: '../x' }]],
    ['a path that leads out later', /leads out/, [{ name: 'a/../../x' }]],
    ['a file through a link', /is a link/, [{ name: 'a', type: 'symlink', linkname: '..' }, { name: 'a/x' }]],
    ['a file through a file', /is a file/, [{ name: 'a', content: 'x' }, { name: 'a/x' }]],
    ['a link that becomes a file', /twice/, [{ name: 'a', type: 'symlink', linkname: '../x' }, { name: 'a' }]],
    ['a hard link to outside', /leads out/, [{ name: 'a', type: 'link', linkname: '../../etc/passwd' }]],
    ['an absolute hard link', /absolute/, [{ name: 'a', type: 'link', linkname: '/etc/passwd' }]],
    ['a hard link to nothing', /no file before/, [{ name: 'a', type: 'link', linkname: 'b' }]],
    [
      'a hard link to a link',
      /no file before/,
      [
        { name: 'b', type: 'symlink', linkname: '/etc/passwd' },
        { name: 'a', type: 'link', linkname: 'b' },
      ],
    ],
    ['a device', /character-device/, [{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]],
    ['a disk', /block-device/, [{ name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }]],
    ['a pipe', /fifo/, [{ name: 'pipe', type: 'fifo' }]],
    ['a name that no file can have', /part that no file/, [{ name: 'x'.repeat(300) }]],
    [
      'more than it may take',
      /takes more than/,
      [
        { name: 'a', content: 'x'.repeat(2 ** 19) },
        { name: 'b', content: 'y'.repeat(2 ** 19 - 4096) },
      ],
    ],
  ])('refuses %s and writes nothing beside its folder', async (_what, reason, items) => {
    const unpacking = unpack(await pack(...items));
    await expect(unpacking).rejects.toMatchObject({ code: 'SANDBOX_ROOT_REFUSED' });
    await expect(unpacking).rejects.toThrow(reason);
    expect(await readdir(base)).toEqual([folder.slice(base.length + 1)]);
  });

  it('refuses what decompresses without end, and what is cut off or no archive', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20));
    await expect(unpack(bomb)).rejects.toMatchObject({ code: 'SANDBOX_ROOT_REFUSED' });
    const whole = await pack({ name: 'a', content: 'x'.repeat(5000) });
    await expect(unpack(whole.subarray(0, 2000))).rejects.toMatchObject({ code: 'SANDBOX_ROOT_REFUSED' });
    await expect(unpack(gzipSync(whole).subarray(0, 30))).rejects.toMatchObject({ code: 'SANDBOX_ROOT_REFUSED' });
    await expect(unpack(Buffer.alloc(2048, 7))).rejects.toMatchObject({ code: 'SANDBOX_ROOT_REFUSED' });
  });

  it('says of any bytes that it refuses them, or unpacks them inside of its folder', async () => {
    const headers = await pack({ name: 'a/b', content: 'x' }, { name: 'c', type: 'symlink', linkname: 'a' });
    const flips = fc.array(fc.tuple(fc.nat(headers.length - 1), fc.nat(255)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bytes = Buffer.from(headers);
        for (const [at, value] of changes) bytes[at] = value;
        const inner = await mkdtemp(join(folder, 'run-'));
        await unpackArchive(bytes, inner, { maxBytes: MAX_BYTES }).catch((error: unknown) => {
          // A name of the file system that it does not take is an error of its own.
          if (!(error instanceof SandboxError) && !(error instanceof Error && 'syscall' in error)) throw error;
        });
        expect(await readdir(base)).toEqual([folder.slice(base.length + 1)]);
      }),
      { numRuns: 60 },
    );
  });

  it('holds no header in memory that says to be larger than any can be', async () => {
    const header = Buffer.alloc(512);
    header.write('pax', 0);
    header.write('0000644\0', 100);
    header.write((2 ** 31).toString(8).padStart(11, '0'), 124);
    header.write('x', 156);
    header.write('ustar\x0000', 257);
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const archive = gzipSync(Buffer.concat([header, Buffer.alloc(64 * 2 ** 20, 'x')]));
    await expect(unpack(archive, 2 ** 32)).rejects.toMatchObject({
      code: 'SANDBOX_ROOT_REFUSED',
      message: expect.stringContaining('Header exceeds max size'),
    });
  });
});
