import { createHash } from 'node:crypto';
import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory, temporaryPath } from '../../lib/atomic-file.ts';
import { encodeUtf8 } from '../../lib/bytes.ts';
import { HASHES_EVERY, HASHES_PREFIX } from './constants.ts';
import { encodeTarHeader, TAR_BLOCK_BYTES } from './tar-header.ts';

/** Writes an archive beside its place; it stands there once it is whole, or never. Dispose of it in any case. */
export class ArchiveWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #mtimeMs: number;
  readonly #hashes = createHash('sha256');
  #pending: string[] = [];
  #lists = 0;
  files = 0;
  bytes = 0;

  private constructor(
    file: FileHandle,
    places: { readonly path: string; readonly temporary: string },
    mtimeMs: number,
  ) {
    this.#file = file;
    this.#path = places.path;
    this.#temporary = places.temporary;
    this.#mtimeMs = mtimeMs;
  }

  static async create(path: string, { mtimeMs }: { readonly mtimeMs: number }): Promise<ArchiveWriter> {
    const temporary = temporaryPath(path);
    return new ArchiveWriter(await open(temporary, 'wx', 0o600), { path, temporary }, mtimeMs);
  }

  /** @param pieces exactly `sizeBytes` in all: the caller knows them, or pads */
  async add(name: string, sizeBytes: number, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const hash = createHash('sha256');
    await this.#write(encodeTarHeader({ name, sizeBytes }, this.#mtimeMs));
    for await (const piece of pieces) {
      hash.update(piece);
      await this.#write(piece);
    }
    const rest = sizeBytes % TAR_BLOCK_BYTES;
    if (rest > 0) await this.#write(new Uint8Array(TAR_BLOCK_BYTES - rest));
    this.files += 1;
    this.#pending.push(`${hash.digest('hex')} ${sizeBytes} ${name}\n`);
    if (this.#pending.length >= HASHES_EVERY) await this.#writeHashes();
  }

  /** Hashes of all that was added since the last list; then the digest over all lists. */
  async closeHashes(): Promise<string> {
    if (this.#pending.length > 0) await this.#writeHashes();
    return this.#hashes.digest('hex');
  }

  /** One of the last files, which no list names. */
  async addUnlisted(name: string, bytes: Uint8Array): Promise<void> {
    await this.#write(encodeTarHeader({ name, sizeBytes: bytes.length }, this.#mtimeMs));
    await this.#write(bytes);
    const rest = bytes.length % TAR_BLOCK_BYTES;
    if (rest > 0) await this.#write(new Uint8Array(TAR_BLOCK_BYTES - rest));
  }

  /** On disk under its name when it resolves. A file that has the name already is kept: EEXIST. */
  async finish(): Promise<void> {
    await this.#write(new Uint8Array(2 * TAR_BLOCK_BYTES));
    await this.#file.sync();
    await link(this.#temporary, this.#path);
    await syncDirectory(dirname(this.#path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await rm(this.#temporary, { force: true });
  }

  async #writeHashes(): Promise<void> {
    const list = encodeUtf8(this.#pending.join(''));
    this.#pending = [];
    this.#hashes.update(list);
    this.#lists += 1;
    await this.addUnlisted(`${HASHES_PREFIX}${String(this.#lists).padStart(6, '0')}`, list);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length; ) {
      offset += (await this.#file.write(bytes, offset, bytes.length - offset)).bytesWritten;
    }
    this.bytes += bytes.length;
  }
}
