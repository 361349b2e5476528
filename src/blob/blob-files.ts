import { createHash, randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobId } from '../domain/ids.ts';
import { syncDirectory } from '../lib/atomic-file.ts';
import { createRawCid } from '../lib/cid.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { systemErrorCode } from '../lib/system-error.ts';

export interface StoredFile {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

/** SHA-256 by Node's own implementation, as a blob id. */
export function computeBlobId(bytes: Uint8Array): BlobId {
  return toBlobId(createHash('sha256').update(bytes).digest());
}

function toBlobId(digest: Uint8Array): BlobId {
  return BlobId(createRawCid(new Uint8Array(digest)).toString());
}

/**
 * Files of blobs: `<directory>/<last two characters of the id>/<id>`; the first ones are the same for all. What comes in
 * or goes out lies in `<directory>/incoming`, which is emptied at start.
 */
export class BlobFiles {
  readonly #directory: string;
  readonly #incoming: string;

  constructor(options: { readonly directory: string }) {
    this.#directory = options.directory;
    this.#incoming = join(options.directory, 'incoming');
  }

  async start(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
    await makeFolder(this.#incoming, 0o700);
  }

  /** An empty file to write into; dispose of it in any case. */
  async createIncoming(): Promise<IncomingFile> {
    const path = this.#temporaryPath();
    return new IncomingFile(await open(path, 'wx', 0o600), path);
  }

  /** Puts a complete incoming file in its place; durable when it resolves. */
  async accept(incoming: IncomingFile, blob: BlobId): Promise<void> {
    await incoming.close();
    const folder = this.#folderOf(blob);
    await makeFolder(folder, 0o700);
    renameSync(incoming.path, join(folder, blob));
    await syncDirectory(folder);
  }

  /** Undefined if it is not there. */
  async readAll(blob: BlobId): Promise<Uint8Array | undefined> {
    try {
      return new Uint8Array(await readFile(this.#pathOf(blob)));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** At most `length` bytes from `offset`; undefined if it is not there. */
  async readPart(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined> {
    try {
      await using file = await open(this.#pathOf(blob), 'r');
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Takes it out of its place at once; the returned task frees the disk. */
  remove(blob: BlobId): () => Promise<void> {
    const path = this.#temporaryPath();
    try {
      renameSync(this.#pathOf(blob), path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
    return () => rm(path, { force: true });
  }

  /** Every file in its place, also those that no index knows. */
  async *list(): AsyncIterable<StoredFile> {
    for (const folder of await readdir(this.#directory)) {
      if (folder.length !== 2) continue;
      for (const name of await readdir(join(this.#directory, folder))) {
        const blob = parseBlobId(name);
        if (blob === undefined) continue;
        const status = await stat(join(this.#directory, folder, name)).catch(() => undefined);
        if (status?.isFile() === true) yield { blob, sizeBytes: status.size };
      }
    }
  }

  #temporaryPath(): string {
    return join(this.#incoming, randomBytes(12).toString('hex'));
  }

  #folderOf(blob: BlobId): string {
    return join(this.#directory, blob.slice(-2));
  }

  #pathOf(blob: BlobId): string {
    return join(this.#folderOf(blob), blob);
  }
}

function parseBlobId(text: string): BlobId | undefined {
  try {
    return BlobId(text);
  } catch {
    return undefined;
  }
}

/** A file being written and hashed; what is not accepted is deleted. */
export class IncomingFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;
  #isClosed = false;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.path = path;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async write(piece: Uint8Array): Promise<void> {
    this.#hash.update(piece);
    let written = 0;
    while (written < piece.length) {
      written += (await this.#file.write(piece, written, piece.length - written)).bytesWritten;
    }
    this.#sizeBytes += piece.length;
  }

  /** After the last write: the id of what was written, which is then on disk. */
  async finish(): Promise<BlobId> {
    await this.#file.sync();
    return toBlobId(this.#hash.digest());
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
