import { open } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { BlobId } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import { BYTES_CODEC } from '../storage/codecs.ts';
import type { Database, Repository } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { BlobFiles, computeBlobId, type IncomingFile } from './blob-files.ts';
import { type BlobEntry, BlobIndex, type BlobPlace } from './blob-index.ts';
import { HOT_MAX_BLOB_BYTES, INLINE_MAX_BYTES, LAST_USE_FLUSH_MS, PIECE_BYTES } from './constants.ts';
import { markSender, toBlobErrors } from './disk-errors.ts';
import { BLOB_ENTRY_CODEC } from './entry-codec.ts';
import { BlobError } from './errors.ts';
import type { BlobStat, BlobStore } from './interface.ts';
import { type BlobMetrics, createBlobMetrics } from './metrics.ts';
import { FILE_BLOB_STORE_DEFAULTS, type FileBlobStoreOptions } from './options.ts';

export interface FileBlobStoreModules {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Small blobs in the database, large ones in files; an index in memory, written beside them. */
export class FileBlobStore implements BlobStore, AsyncDisposable {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: BlobMetrics;
  readonly #options: FileBlobStoreOptions;
  readonly #entries: Repository<BlobEntry>;
  readonly #smallBlobs: Repository<Uint8Array>;
  readonly #files: BlobFiles;
  readonly #index: BlobIndex;
  readonly #hot: LRUCache<BlobId, Uint8Array>;
  readonly #loading = new Map<BlobId, Promise<Uint8Array>>();
  readonly #storing = new Map<BlobId, Promise<void>>();
  readonly #touched = new Set<BlobId>();
  #flushTimer: Disposable | undefined;
  #sweep: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(modules: FileBlobStoreModules, options: FileBlobStoreOptions) {
    this.#database = modules.database;
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#metrics = createBlobMetrics(modules.metrics);
    this.#options = options;
    this.#entries = modules.database.repository('blobs', BLOB_ENTRY_CODEC);
    this.#smallBlobs = modules.database.repository('blob-bytes', BYTES_CODEC);
    this.#files = new BlobFiles({ directory: options.directory });
    this.#index = new BlobIndex({
      maxBytes: options.maxBytes,
      maxBlobs: options.maxBlobs ?? FILE_BLOB_STORE_DEFAULTS.maxBlobs,
    });
    this.#hot = new LRUCache({
      maxSize: options.hotBytes ?? FILE_BLOB_STORE_DEFAULTS.hotBytes,
      maxEntrySize: HOT_MAX_BLOB_BYTES,
      // An entry costs something even if the blob is empty.
      sizeCalculation: (bytes) => bytes.length + 256,
    });
  }

  /** Reads the index, then compares it with the files in the background. @throws BlobError, StorageError */
  async start(): Promise<void> {
    await this.#guard(() => this.#files.start());
    const found: (readonly [string, BlobEntry])[] = [];
    for await (const entry of this.#entries.entries()) found.push(entry);
    found.sort(([, a], [, b]) => a.lastUseMs - b.lastUseMs);
    for (const [blob, entry] of found) this.#index.add(BlobId(blob), entry);
    this.#reportSize();
    this.#sweep = this.#reconcile().catch((error: unknown) => {
      if (!this.#isStopping) this.#logger.warn({ error }, 'the blobs on disk could not be compared with their index');
    });
  }

  /** Resolves when the comparison that `start` began has ended. */
  whenReconciled(): Promise<void> {
    return this.#sweep;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#flushTimer?.[Symbol.dispose]();
    await this.#sweep;
    await this.#flushLastUse();
  }

  async put(bytes: Uint8Array): Promise<BlobStat> {
    const blob = computeBlobId(bytes);
    const sizeBytes = bytes.length;
    if (this.#touch(blob)) return { blob, sizeBytes };
    await this.#withRoom(sizeBytes, async () => {
      if (sizeBytes <= INLINE_MAX_BYTES) return this.#storeInDatabase(blob, bytes);
      await using incoming = await this.#files.createIncoming();
      for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
        await incoming.write(bytes.subarray(offset, offset + PIECE_BYTES));
      }
      await this.#acceptFile(incoming, await incoming.finish());
    });
    return { blob, sizeBytes };
  }

  async putFile(path: string, options: AbortOptions = {}): Promise<BlobStat> {
    const source = (reason: string, cause?: unknown): BlobError =>
      new BlobError({ code: 'BLOB_SOURCE', path, reason }, { cause });
    await using file = await open(path, 'r').catch((error: unknown) => {
      throw source(describeError(error), error);
    });
    const status = await file.stat();
    if (!status.isFile()) throw source('it is not a regular file');
    if (status.size <= INLINE_MAX_BYTES) return await this.put(new Uint8Array(await file.readFile()));
    return await this.#withRoom(status.size, async () => {
      await using incoming = await this.#files.createIncoming();
      const buffer = new Uint8Array(PIECE_BYTES);
      for (;;) {
        options.signal?.throwIfAborted();
        const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES, null);
        if (bytesRead === 0) break;
        if (incoming.sizeBytes + bytesRead > status.size) break;
        await incoming.write(buffer.subarray(0, bytesRead));
      }
      const after = await file.stat();
      if (incoming.sizeBytes !== status.size || after.size !== status.size || after.mtimeMs !== status.mtimeMs) {
        throw source('it changed while it was read');
      }
      const blob = await incoming.finish();
      if (!this.#touch(blob)) await this.#acceptFile(incoming, blob);
      return { blob, sizeBytes: status.size };
    });
  }

  async stat(blob: BlobId): Promise<BlobStat | undefined> {
    const entry = this.#index.get(blob);
    return entry === undefined ? undefined : { blob, sizeBytes: entry.sizeBytes };
  }

  async get(blob: BlobId, maxBytes: number): Promise<Uint8Array> {
    const entry = this.#index.get(blob);
    if (entry === undefined) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
    if (entry.sizeBytes > maxBytes) {
      throw new BlobError({ code: 'BLOB_TOO_LARGE', sizeBytes: entry.sizeBytes, maxBytes });
    }
    this.#touch(blob);
    const hot = this.#hot.get(blob);
    if (hot !== undefined) {
      this.#metrics.reads.increment({ from: 'memory' });
      return hot;
    }
    let loading = this.#loading.get(blob);
    if (loading === undefined) {
      loading = this.#load(blob, entry).finally(() => this.#loading.delete(blob));
      this.#loading.set(blob, loading);
    }
    return loading;
  }

  async read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined> {
    const entry = this.#index.get(blob);
    if (entry === undefined || !this.#touch(blob)) return undefined;
    const start = Math.min(Math.max(0, Math.trunc(offset)), entry.sizeBytes);
    const end = Math.min(start + Math.max(0, Math.trunc(length)), entry.sizeBytes);
    const hot = this.#hot.get(blob);
    if (hot !== undefined) return hot.slice(start, end);
    if (entry.place === 'database') return (await this.get(blob, entry.sizeBytes)).slice(start, end);
    const part = await this.#guard(() => this.#files.readPart(blob, start, end - start));
    if (part?.length === end - start) return part;
    await this.#forget(blob);
    return undefined;
  }

  async receive(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const known = this.#index.get(blob);
    if (known !== undefined && this.#touch(blob)) {
      if (known.sizeBytes !== sizeBytes) throw this.#mismatch(blob, `its size is ${known.sizeBytes}`);
      return;
    }
    await this.#withRoom(sizeBytes, () =>
      sizeBytes <= INLINE_MAX_BYTES
        ? this.#receiveSmall(blob, sizeBytes, chunks)
        : this.#receiveFile(blob, sizeBytes, chunks),
    );
  }

  pin(blob: BlobId): Disposable {
    this.#index.pin(blob);
    let isPinned = true;
    return {
      [Symbol.dispose]: () => {
        if (isPinned) this.#index.unpin(blob);
        isPinned = false;
      },
    };
  }

  async #receiveSmall(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = new Uint8Array(sizeBytes);
    let filled = 0;
    for await (const chunk of markSender(chunks)) {
      if (filled + chunk.length > sizeBytes) throw this.#mismatch(blob, 'it is longer than announced');
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    if (filled !== sizeBytes) throw this.#mismatch(blob, 'it is shorter than announced');
    if (computeBlobId(bytes) !== blob) throw this.#mismatch(blob, 'its hash is another');
    await this.#storeInDatabase(blob, bytes);
  }

  async #receiveFile(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await using incoming = await this.#files.createIncoming();
    for await (const chunk of markSender(chunks)) {
      if (incoming.sizeBytes + chunk.length > sizeBytes) throw this.#mismatch(blob, 'it is longer than announced');
      await incoming.write(chunk);
    }
    if (incoming.sizeBytes !== sizeBytes) throw this.#mismatch(blob, 'it is shorter than announced');
    if ((await incoming.finish()) !== blob) throw this.#mismatch(blob, 'its hash is another');
    await this.#acceptFile(incoming, blob);
  }

  #mismatch(blob: BlobId, reason: string): BlobError {
    this.#metrics.refused.increment({ code: 'BLOB_MISMATCH' });
    return new BlobError({ code: 'BLOB_MISMATCH', blob, reason });
  }

  async #load(blob: BlobId, entry: BlobEntry): Promise<Uint8Array> {
    const bytes = await this.#guard(() =>
      entry.place === 'database' ? this.#smallBlobs.get(blob) : this.#files.readAll(blob),
    );
    if (bytes === undefined) {
      if (!this.#storing.has(blob)) await this.#forget(blob);
      throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
    }
    if (computeBlobId(bytes) !== blob) {
      this.#metrics.refused.increment({ code: 'BLOB_CORRUPT' });
      this.#logger.error({ blob }, 'a blob was damaged on disk and has been removed');
      await this.#forget(blob);
      throw new BlobError({ code: 'BLOB_CORRUPT', blob });
    }
    this.#metrics.reads.increment({ from: entry.place });
    this.#hot.set(blob, bytes);
    return bytes;
  }

  /** Makes room, does the storing, and ends the promise of room whatever comes of it. @throws BlobError */
  async #withRoom<Result>(sizeBytes: number, store: () => Promise<Result>): Promise<Result> {
    const { maxBytes } = this.#options;
    if (sizeBytes > maxBytes) throw new BlobError({ code: 'BLOB_TOO_LARGE', sizeBytes, maxBytes });
    const victims = this.#index.reserve(sizeBytes);
    if (victims === undefined) {
      this.#metrics.refused.increment({ code: 'BLOB_NO_ROOM' });
      throw new BlobError({ code: 'BLOB_NO_ROOM', sizeBytes, maxBytes });
    }
    try {
      return await this.#guard(async () => {
        if (victims.length > 0) await this.#evict(victims);
        return store();
      });
    } finally {
      this.#index.release(sizeBytes);
      this.#reportSize();
    }
  }

  async #evict(victims: readonly BlobId[]): Promise<void> {
    this.#metrics.evicted.increment({}, victims.length);
    await this.#remove(victims);
  }

  async #forget(blob: BlobId): Promise<void> {
    await this.#guard(() => this.#remove([blob]));
    this.#reportSize();
  }

  /**
   * Everything before the first await happens at once: a blob that is stored again right after is queued behind it in
   * the database, and its file is not the one that is deleted.
   */
  async #remove(blobs: readonly BlobId[]): Promise<void> {
    const frees: (() => Promise<void>)[] = [];
    const operations = blobs.flatMap((blob) => {
      const entry = this.#index.get(blob);
      this.#index.remove(blob);
      this.#hot.delete(blob);
      this.#touched.delete(blob);
      if (entry?.place === 'file') frees.push(this.#files.remove(blob));
      const forget = this.#entries.deleteOperation(blob);
      return entry?.place === 'database' ? [forget, this.#smallBlobs.deleteOperation(blob)] : [forget];
    });
    await this.#database.write(operations);
    for (const free of frees) await free();
  }

  #storeInDatabase(blob: BlobId, bytes: Uint8Array): Promise<void> {
    return this.#storeOnce(blob, async () => {
      const copy = bytes.slice();
      const entry = this.#createEntry(copy.length, 'database');
      const operations = [this.#smallBlobs.putOperation(blob, copy), this.#entries.putOperation(blob, entry)];
      await this.#database.write(operations, { durable: true });
      this.#index.add(blob, entry);
      this.#hot.set(blob, copy);
    });
  }

  #acceptFile(incoming: IncomingFile, blob: BlobId): Promise<void> {
    return this.#storeOnce(blob, async () => {
      const entry = this.#createEntry(incoming.sizeBytes, 'file');
      await this.#files.accept(incoming, blob);
      await this.#entries.put(blob, entry, { durable: true });
      this.#index.add(blob, entry);
    });
  }

  /** The same blob arriving twice at once is stored once. */
  #storeOnce(blob: BlobId, store: () => Promise<void>): Promise<void> {
    const running = this.#storing.get(blob);
    if (running !== undefined) return running;
    if (this.#touch(blob)) return Promise.resolve();
    const storing = store().finally(() => this.#storing.delete(blob));
    this.#storing.set(blob, storing);
    return storing;
  }

  #createEntry(sizeBytes: number, place: BlobPlace): BlobEntry {
    return { sizeBytes, place, lastUseMs: this.#clock.nowMs() };
  }

  /** False if it is not here. */
  #touch(blob: BlobId): boolean {
    if (!this.#index.touch(blob, this.#clock.nowMs())) return false;
    this.#touched.add(blob);
    this.#flushTimer ??= this.#clock.schedule(LAST_USE_FLUSH_MS, () => {
      this.#flushTimer = undefined;
      this.#flushLastUse().catch((error: unknown) => {
        if (!this.#isStopping) this.#logger.warn({ error }, 'times of last use of blobs could not be written');
      });
    });
    return true;
  }

  async #flushLastUse(): Promise<void> {
    const operations = [...this.#touched].flatMap((blob) => {
      const entry = this.#index.get(blob);
      return entry === undefined ? [] : [this.#entries.putOperation(blob, entry)];
    });
    this.#touched.clear();
    await this.#database.write(operations);
  }

  /** Takes in files that a crash left without an entry, and drops entries whose file is gone. */
  async #reconcile(): Promise<void> {
    const before = new Set(
      [...this.#index.entries()].filter(([, { place }]) => place === 'file').map(([blob]) => blob),
    );
    for await (const { blob, sizeBytes } of this.#files.list()) {
      if (this.#isStopping) return;
      before.delete(blob);
      if (this.#index.get(blob) !== undefined || this.#storing.has(blob)) continue;
      const entry = this.#createEntry(sizeBytes, 'file');
      this.#index.add(blob, entry);
      await this.#entries.put(blob, entry);
      this.#logger.info({ blob, sizeBytes }, 'a blob without an entry was taken in');
    }
    for (const blob of before) {
      if (this.#isStopping) return;
      this.#logger.warn({ blob }, 'a blob is gone from the disk');
      await this.#remove([blob]);
    }
    this.#reportSize();
  }

  #reportSize(): void {
    this.#metrics.bytes.set(this.#index.storedBytes);
    this.#metrics.blobs.set(this.#index.size);
  }

  #guard<Result>(task: () => Promise<Result>): Promise<Result> {
    return toBlobErrors(this.#options.directory, task);
  }
}
