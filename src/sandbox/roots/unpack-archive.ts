import { chmod, link, mkdir, open, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type EntryHead, limitStream, readTar, refuse, shown, splitBytes } from './read-tar.ts';

/** Entries of one archive; Debian with a desktop has 200,000. */
const MAX_ENTRIES = 500_000;
/** PATH_MAX of linux/limits.h without the folder that it is unpacked to, and NAME_MAX. */
const MAX_PATH_BYTES = 3072;
const MAX_NAME_BYTES = 255;
const MAX_LINK_BYTES = 4095;
/** What an entry counts for besides its bytes, which count in such blocks: about what a file system takes for it. */
const BLOCK_BYTES = 4096;

export interface UnpackOptions {
  /** Most bytes on disk, and of the archive once it is decompressed. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Unpacks a tar, plain or gzip, into an empty folder that nobody else writes to; bytes that it takes on disk. It writes
 * through no link: each part of a path has to be a folder that this archive has made. Files become readable by all, and
 * lose owner, set-user-id bits, times and extended attributes.
 * @throws SandboxError SANDBOX_ROOT_REFUSED for what the archive may not hold; Error of the file system
 */
export async function unpackArchive(archive: Uint8Array, folder: string, options: UnpackOptions): Promise<number> {
  const unpacking = new Unpacking(folder, options.maxBytes);
  const isGzip = archive[0] === 0x1f && archive[1] === 0x8b;
  const stages = [
    Readable.from(splitBytes(archive)),
    ...(isGzip ? [createGunzip()] : []),
    limitStream(options.maxBytes),
  ];
  await readTar(stages, (head, content) => unpacking.add(head, content), options.signal);
  return unpacking.usedBytes;
}

class Unpacking {
  usedBytes = 0;
  readonly #folder: string;
  readonly #maxBytes: number;
  /** What stands at each path that this archive has made. */
  readonly #made = new Map<string, 'folder' | 'file' | 'link'>([['', 'folder']]);

  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  async add(head: EntryHead, content: Readable): Promise<void> {
    const path = readPath(head.name);
    this.#use(0);
    if (this.#made.size > MAX_ENTRIES) throw refuse(`it has more than ${MAX_ENTRIES} entries`);
    if (head.type === 'directory') await this.#makeFolder(path);
    else if (path === '') throw refuse('its root is no folder');
    else await this.#makeEntry(path, head, content);
  }

  async #makeEntry(path: string, head: EntryHead, content: Readable): Promise<void> {
    if (this.#made.has(path)) throw refuse(`${shown(path)} is there twice`);
    await this.#makeFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
    switch (head.type) {
      case 'file':
      case 'contiguous-file':
        return await this.#makeFile(path, head.mode ?? 0, content);
      case 'symlink':
        return await this.#makeLink(path, head.linkname ?? '');
      case 'link':
        return await this.#makeHardLink(path, head.linkname ?? '');
      default:
        throw refuse(`${shown(path)} is neither file, folder nor link (${head.type ?? 'of an unknown type'})`);
    }
  }

  /** With all above it. */
  async #makeFolder(path: string): Promise<void> {
    const known = this.#made.get(path);
    if (known === 'folder') return;
    if (known !== undefined) throw refuse(`${shown(path)} is a ${known}, and a folder in another entry`);
    await this.#makeFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
    this.#use(0);
    await mkdir(join(this.#folder, path));
    // The mode given to mkdir is less the umask of this process.
    await chmod(join(this.#folder, path), 0o755);
    this.#made.set(path, 'folder');
  }

  async #makeFile(path: string, mode: number, content: Readable): Promise<void> {
    const file = await open(join(this.#folder, path), 'wx');
    try {
      for await (const chunk of content) {
        const bytes = chunk as Uint8Array;
        this.#use(bytes.length);
        await file.write(bytes);
      }
      await file.chmod((mode & 0o111) === 0 ? 0o644 : 0o755);
    } finally {
      await file.close();
    }
    this.#made.set(path, 'file');
  }

  /** Nobody follows it here, and in the sandbox it begins at the sandbox's own root: it cannot lead out of it. */
  async #makeLink(path: string, target: string): Promise<void> {
    if (target === '' || target.includes('\0') || Buffer.byteLength(target) > MAX_LINK_BYTES) {
      throw refuse(`the link ${shown(path)} leads nowhere`);
    }
    await symlink(target, join(this.#folder, path));
    this.#made.set(path, 'link');
  }

  async #makeHardLink(path: string, linkname: string): Promise<void> {
    const target = readPath(linkname);
    if (this.#made.get(target) !== 'file') throw refuse(`${shown(path)} is a hard link to what is no file before it`);
    await link(join(this.#folder, target), join(this.#folder, path));
    this.#made.set(path, 'file');
  }

  #use(bytes: number): void {
    this.usedBytes += bytes === 0 ? BLOCK_BYTES : bytes;
    if (this.usedBytes > this.#maxBytes) throw refuse(`unpacked it takes more than ${this.#maxBytes} bytes`);
  }
}

/** Without `.` parts and slashes at either end; empty for the root. @throws SandboxError */
function readPath(name: string): string {
  if (name.startsWith('/')) throw refuse(`the path ${shown(name)} is absolute`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  const isBad = parts.some((part) => part === '..' || part.includes('\0') || Buffer.byteLength(part) > MAX_NAME_BYTES);
  const path = parts.join('/');
  if (isBad) throw refuse(`the path ${shown(name)} leads out of the root, or has a part that no file can have`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refuse(`the path ${shown(name)} is too long`);
  return path;
}
