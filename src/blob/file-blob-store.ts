import { BLOB_LEAF_BYTES } from '../domain/blob-shape.ts';
import type { BlobId } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { type Random, SystemRandom } from '../lib/random.ts';
import type { Database, DiskObserver } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { BlobCache } from './blob-cache.ts';
import { BlobCatalog } from './blob-catalog.ts';
import type { BlobDisk } from './blob-disk.ts';
import { BlobFiles } from './blob-files.ts';
import type { BlobEntry } from './blob-index.ts';
import { BlobReader, type FoundBlob } from './blob-reader.ts';
import { BlobWriter } from './blob-writer.ts';
import { toBlobErrors } from './disk-errors.ts';
import { BlobError } from './errors.ts';
import type {
  BlobCheck,
  BlobInventory,
  BlobOptions,
  BlobReception,
  BlobStat,
  BlobSummary,
  BlobTransferStore,
  NodePlace,
} from './interface.ts';
import { BlobKeys } from './leaf-seal.ts';
import { type BlobMetrics, createBlobMetrics } from './metrics.ts';
import { ObservedBlobDisk } from './observed-blob-disk.ts';
import { FILE_BLOB_STORE_DEFAULTS, type FileBlobStoreOptions } from './options.ts';
import { Receptions } from './receptions/receptions.ts';
import { Scrubber } from './scrubber.ts';

export interface FileBlobStoreModules {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly random?: Random;
  /** The folder of the options, if none is given. */
  readonly disk?: BlobDisk;
  /** Is told of each change to that folder. */
  readonly observer?: DiskObserver | undefined;
}

/**
 * Small blobs in the database, large ones in files, private ones encrypted; an index in memory, written beside them.
 * Parts: `BlobCatalog` knows what is here and makes room, `BlobWriter` takes whole blobs in, `Receptions` those that
 * arrive leaf by leaf, `BlobReader` reads and checks, `Scrubber` deals with damage.
 */
export class FileBlobStore implements BlobTransferStore, BlobInventory, AsyncDisposable {
  readonly #logger: Logger;
  readonly #metrics: BlobMetrics;
  readonly #options: FileBlobStoreOptions;
  readonly #disk: BlobDisk;
  readonly #cache: BlobCache;
  readonly #catalog: BlobCatalog;
  readonly #reader: BlobReader;
  readonly #writer: BlobWriter;
  readonly #receptions: Receptions;
  readonly #scrubber: Scrubber;
  readonly #loading = new Map<BlobId, Promise<Uint8Array>>();
  readonly #stopping = new AbortController();
  #sweep: Promise<void> = Promise.resolve();

  constructor(modules: FileBlobStoreModules, options: FileBlobStoreOptions) {
    const { clock, database, logger } = modules;
    const { hotBytes, maxBlobs, storeKey } = { ...FILE_BLOB_STORE_DEFAULTS, ...options };
    const metrics = createBlobMetrics(modules.metrics);
    const files = modules.disk ?? new BlobFiles({ directory: options.directory });
    const { observer } = modules;
    const disk = observer === undefined ? files : new ObservedBlobDisk({ disk: files, observer });
    const cache = new BlobCache({ clock }, { hotBytes });
    const keys = new BlobKeys({ random: modules.random ?? new SystemRandom() }, storeKey);
    const catalog = new BlobCatalog(
      { database, disk, cache, clock, logger, metrics },
      { maxBytes: options.maxBytes, maxBlobs },
    );
    const reader = new BlobReader({ catalog, disk, cache, keys });
    const keepHot = (blob: BlobId, bytes: Uint8Array): void => cache.hot.set(blob, bytes);
    const writer = new BlobWriter({ catalog, disk, reader, keys, metrics, keepHot });
    const guard = <Result>(task: () => Promise<Result>): Promise<Result> => this.#guard(task);
    this.#logger = logger;
    this.#metrics = metrics;
    this.#options = options;
    this.#disk = disk;
    this.#cache = cache;
    this.#catalog = catalog;
    this.#reader = reader;
    this.#writer = writer;
    this.#receptions = new Receptions({ catalog, disk, reader, writer, keys, clock, metrics, guard });
    this.#scrubber = new Scrubber({ catalog, disk, reader, metrics, logger });
  }

  /** Reads the index, then compares it with the files in the background. @throws BlobError, StorageError */
  async start(): Promise<void> {
    await this.#guard(() => this.#disk.start((leaving) => this.#catalog.finishRemovals(leaving)));
    await this.#catalog.load();
    await this.#receptions.giveUpOld();
    this.#sweep = this.#scrubber.reconcile(this.#stopping.signal).catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return;
      this.#logger.warn({ error }, 'the blobs on disk could not be compared with their index');
    });
  }

  /** Resolves when the comparison that `start` began has ended. */
  whenReconciled(): Promise<void> {
    return this.#sweep;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#sweep;
    await this.#catalog.stop();
    this.#cache[Symbol.dispose]();
    await this.#disk[Symbol.asyncDispose]();
  }

  async put(bytes: Uint8Array, options: BlobOptions = {}): Promise<BlobStat> {
    return await this.#guard(() => this.#writer.put(bytes, options));
  }

  async putFile(path: string, options: AbortOptions & BlobOptions = {}): Promise<BlobStat> {
    return await this.#guard(() => this.#writer.putFile(path, options));
  }

  async receive(
    blob: BlobId,
    sizeBytes: number,
    chunks: AsyncIterable<Uint8Array>,
    options: BlobOptions = {},
  ): Promise<void> {
    await this.#guard(() => this.#writer.receive(blob, sizeBytes, chunks, options));
  }

  async stat(blob: BlobId): Promise<BlobStat | undefined> {
    const entry = this.#catalog.get(blob);
    return entry === undefined ? undefined : { blob, sizeBytes: entry.sizeBytes };
  }

  async get(blob: BlobId, maxBytes: number): Promise<Uint8Array> {
    const entry = this.#catalog.get(blob);
    if (entry === undefined) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
    if (entry.sizeBytes > maxBytes) {
      throw new BlobError({ code: 'BLOB_TOO_LARGE', sizeBytes: entry.sizeBytes, maxBytes });
    }
    this.#catalog.touch(blob);
    const hot = this.#cache.hot.get(blob);
    if (hot !== undefined) {
      this.#metrics.reads.increment({ from: 'memory' });
      return hot;
    }
    let loading = this.#loading.get(blob);
    if (loading === undefined) {
      loading = this.#guard(() => this.#load(blob, entry)).finally(() => this.#loading.delete(blob));
      this.#loading.set(blob, loading);
    }
    return await loading;
  }

  async read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined> {
    const entry = this.#catalog.get(blob);
    const partial = this.#catalog.partial(blob);
    const sizeBytes = entry?.sizeBytes ?? partial?.sizeBytes;
    if (sizeBytes === undefined) return undefined;
    this.#catalog.touch(blob);
    const start = Math.min(Math.max(0, Math.trunc(offset)), sizeBytes);
    const end = Math.min(start + Math.max(0, Math.trunc(length)), sizeBytes);
    const hot = this.#cache.hot.get(blob);
    if (hot !== undefined) return hot.slice(start, end);
    if (entry === undefined) {
      return partial && (await this.#guard(() => this.#reader.readPartial(partial, start, end)));
    }
    if (entry.place === 'database') return (await this.get(blob, sizeBytes)).slice(start, end);
    return await this.#guard(() => this.#readStored(blob, entry, { start, end }));
  }

  pin(blob: BlobId): Disposable {
    return this.#catalog.pin(blob);
  }

  async openReception(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<BlobReception> {
    return await this.#guard(() => this.#receptions.open(blob, sizeBytes, options));
  }

  async readNode(blob: BlobId, place: NodePlace): Promise<Uint8Array | undefined> {
    if (this.#catalog.get(blob) === undefined && this.#catalog.partial(blob) === undefined) return undefined;
    return await this.#guard(() => this.#catalog.nodes.read(blob, place));
  }

  partialLeaves(blob: BlobId): { readonly sizeBytes: number; readonly leaves: Uint8Array } | undefined {
    const partial = this.#catalog.partial(blob);
    return partial && { sizeBytes: partial.sizeBytes, leaves: partial.leaves.toBytes() };
  }

  listBlobs(limit: number): readonly BlobSummary[] {
    const whole = [...this.#catalog.entries()].map(([blob, { sizeBytes, sealedKey, lastUseMs }]) =>
      this.#summarize({ blob, sizeBytes, bytesHere: sizeBytes, isPrivate: sealedKey !== null, lastUseMs }),
    );
    const partial = [...this.#catalog.partials()].map(({ blob, sizeBytes, sealedKey, lastUseMs, leaves }) => {
      const bytesHere = Math.min(sizeBytes, leaves.present * BLOB_LEAF_BYTES);
      return this.#summarize({ blob, sizeBytes, bytesHere, isPrivate: sealedKey !== null, lastUseMs });
    });
    return [...whole, ...partial].sort((a, b) => b.lastUseMs - a.lastUseMs).slice(0, limit);
  }

  isPrivate(blob: BlobId): boolean {
    const entry = this.#catalog.get(blob) ?? this.#catalog.partial(blob);
    return entry !== undefined && entry.sealedKey !== null;
  }

  usage(): { readonly blobs: number; readonly bytes: number; readonly limitBytes: number } {
    return { ...this.#catalog.usage(), limitBytes: this.#options.maxBytes };
  }

  async remove(blob: BlobId): Promise<boolean> {
    if (this.#catalog.get(blob) === undefined && this.#catalog.partial(blob) === undefined) return false;
    if (this.#catalog.isPinned(blob) || this.#catalog.isStoring(blob) || this.#catalog.partial(blob)?.isOpen === true) {
      throw new BlobError({ code: 'BLOB_IN_USE', blob });
    }
    await this.#guard(() => this.#catalog.remove([blob]));
    return true;
  }

  #summarize(found: Omit<BlobSummary, 'isPinned'>): BlobSummary {
    return { ...found, isPinned: this.#catalog.isPinned(found.blob) };
  }

  async verify(blob: BlobId, options: AbortOptions = {}): Promise<BlobCheck | undefined> {
    return await this.#guard(() => this.#scrubber.check(blob, options.signal));
  }

  async #load(blob: BlobId, entry: BlobEntry): Promise<Uint8Array> {
    const found = await this.#reader.readAll(blob, entry);
    if (found.kind === 'sound') {
      this.#metrics.reads.increment({ from: entry.place });
      if (this.#catalog.get(blob) !== undefined) this.#cache.hot.set(blob, found.bytes);
      return found.bytes;
    }
    const changed = await this.#findChanged(blob, entry);
    if (changed !== undefined) return await this.#load(blob, changed);
    const check = await this.#scrubber.check(blob);
    if (check === undefined || found.kind === 'gone') throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
    const damagedLeaves = check.damagedLeaves.length;
    const again: FoundBlob = damagedLeaves === 0 ? await this.#reader.readAll(blob, entry) : found;
    if (again.kind === 'sound') return again.bytes;
    throw new BlobError({ code: 'BLOB_CORRUPT', blob, damagedLeaves });
  }

  async #readStored(
    blob: BlobId,
    entry: BlobEntry,
    part: { readonly start: number; readonly end: number },
  ): Promise<Uint8Array | undefined> {
    const read = await this.#reader.readPart(blob, entry, part.start, part.end);
    if (read !== undefined) return read;
    const changed = await this.#findChanged(blob, entry);
    if (changed !== undefined) return await this.#readStored(blob, changed, part);
    await this.#scrubber.check(blob);
    return undefined;
  }

  /** How a blob is kept now, if it was encrypted or stored anew since `entry` was read. */
  async #findChanged(blob: BlobId, entry: BlobEntry): Promise<BlobEntry | undefined> {
    await this.#catalog.whenStored(blob);
    const now = this.#catalog.get(blob);
    return now !== undefined && !this.#catalog.isCurrent(blob, entry) ? now : undefined;
  }

  #guard<Result>(task: () => Promise<Result>): Promise<Result> {
    return toBlobErrors(this.#options.directory, task);
  }
}
