import { randomBytes } from 'node:crypto';
import { constants, renameSync } from 'node:fs';
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { BlobId } from '../domain/ids.ts';
import { syncDirectory } from '../lib/atomic-file.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { systemErrorCode } from '../lib/system-error.ts';
import type { BlobDisk, BlobFileName, IncomingFile, PartialFile, StoredFile } from './blob-disk.ts';
import { OPEN_BLOB_FILES } from './constants.ts';
import { SharedFile } from './shared-file.ts';

const SEALED_SUFFIX = '.sealed';

/**
 * Below the folder of blobs: `<last two characters of the id>/<id>`, with `.sealed` behind it if it is encrypted; the
 * first characters are the same for all.
 */
export function locateBlobFile({ blob, isSealed }: BlobFileName): string {
  return `${folderOf(blob)}/${blob}${isSealed ? SEALED_SUFFIX : ''}`;
}

const folderOf = (blob: BlobId): string => blob.slice(-2);

/**
 * Files of blobs, each where `locateBlobFile` has it. What comes in or goes out lies in `<directory>/incoming`, emptied at start.
 */
export class BlobFiles implements BlobDisk {
  readonly #directory: string;
  readonly #incoming: string;
  /** Folders that are there, and stay so over a power cut. */
  readonly #folders = new Set<string>();
  /** By path: those that are read, in parts and often. */
  readonly #open = new LRUCache<string, SharedFile>({
    max: OPEN_BLOB_FILES,
    dispose: (file) => void file.retire(),
  });

  constructor(options: { readonly directory: string }) {
    this.#directory = options.directory;
    this.#incoming = join(options.directory, 'incoming');
  }

  async start(finishRemovals: (leaving: readonly BlobFileName[]) => Promise<void>): Promise<void> {
    await makeFolder(this.#incoming, 0o700);
    const leaving = (await readdir(this.#incoming)).flatMap((name) => parseLeavingName(name) ?? []);
    if (leaving.length > 0) await finishRemovals(leaving);
    await rm(this.#incoming, { recursive: true, force: true });
    await makeFolder(this.#incoming, 0o700);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(files.map((file) => file.retire()));
  }

  async createIncoming(): Promise<SequentialFile> {
    const path = join(this.#incoming, randomName());
    return new SequentialFile(await open(path, 'wx', 0o600), path);
  }

  async accept(incoming: SequentialFile, name: BlobFileName): Promise<void> {
    await incoming.close();
    const folder = await this.#makeFolderOf(name);
    renameSync(incoming.path, this.#pathOf(name));
    this.#open.delete(this.#pathOf(name));
    await syncDirectory(folder);
  }

  async openPartial(name: BlobFileName, sizeBytes: number): Promise<PartialFile> {
    const folder = await this.#makeFolderOf(name);
    const file = await open(this.#pathOf(name), constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const foundBytes = (await file.stat()).size;
      if (foundBytes !== sizeBytes) await file.truncate(sizeBytes);
      return new SparseFile(file, folder, foundBytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(name: BlobFileName, position: number, length: number): Promise<Uint8Array | undefined> {
    const path = this.#pathOf(name);
    let shared = this.#open.get(path);
    if (shared === undefined) {
      shared = new SharedFile(open(path, 'r'));
      this.#open.set(path, shared);
    }
    try {
      return await shared.read(position, length);
    } catch (error) {
      if (this.#open.peek(path) === shared) this.#open.delete(path);
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  remove(name: BlobFileName): () => Promise<void> {
    const path = join(this.#incoming, `${basename(this.#pathOf(name))}.${randomName()}`);
    this.#open.delete(this.#pathOf(name));
    try {
      renameSync(this.#pathOf(name), path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
    return () => rm(path, { force: true });
  }

  async *list(): AsyncIterable<StoredFile> {
    for (const folder of await readdir(this.#directory)) {
      if (folder.length !== 2) continue;
      for (const name of await readdir(join(this.#directory, folder))) {
        const parsed = parseFileName(name);
        if (parsed === undefined) continue;
        const status = await stat(join(this.#directory, folder, name)).catch(() => undefined);
        if (status?.isFile() === true) yield { ...parsed, sizeBytes: status.size };
      }
    }
  }

  async #makeFolderOf(name: BlobFileName): Promise<string> {
    const folder = this.#folderOf(name);
    if (this.#folders.has(folder)) return folder;
    await makeFolder(folder, 0o700);
    await syncDirectory(this.#directory);
    this.#folders.add(folder);
    return folder;
  }

  #folderOf({ blob }: BlobFileName): string {
    return join(this.#directory, folderOf(blob));
  }

  #pathOf(name: BlobFileName): string {
    return join(this.#directory, locateBlobFile(name));
  }
}

function randomName(): string {
  return randomBytes(12).toString('hex');
}

/** Of a file on its way out; undefined for one on its way in. */
export function parseLeavingName(name: string): BlobFileName | undefined {
  const end = name.lastIndexOf('.');
  return end < 0 ? undefined : parseFileName(name.slice(0, end));
}

function parseFileName(name: string): BlobFileName | undefined {
  const isSealed = name.endsWith(SEALED_SUFFIX);
  try {
    return { blob: BlobId(isSealed ? name.slice(0, -SEALED_SUFFIX.length) : name), isSealed };
  } catch {
    return undefined;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number | null): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const at = position === null ? null : position + written;
    written += (await file.write(bytes, written, bytes.length - written, at)).bytesWritten;
  }
}

class SequentialFile implements IncomingFile {
  readonly path: string;
  readonly #file: FileHandle;
  #isClosed = false;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.path = path;
  }

  async write(piece: Uint8Array): Promise<void> {
    await writeAll(this.#file, piece, null);
  }

  async sync(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }
}

class SparseFile implements PartialFile {
  readonly foundBytes: number;
  readonly #file: FileHandle;
  readonly #folder: string;
  #isNamed = false;

  constructor(file: FileHandle, folder: string, foundBytes: number) {
    this.#file = file;
    this.#folder = folder;
    this.foundBytes = foundBytes;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await writeAll(this.#file, bytes, position);
  }

  async sync(): Promise<void> {
    await this.#file.sync();
    if (!this.#isNamed) await syncDirectory(this.#folder);
    this.#isNamed = true;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
