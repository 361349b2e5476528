import { BlobId } from '../domain/ids.ts';
import type { Clock } from '../lib/clock.ts';
import { BYTES_CODEC } from '../storage/codecs.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import type { BlobCache } from './blob-cache.ts';
import type { BlobDisk, BlobFileName } from './blob-disk.ts';
import { type BlobEntry, BlobIndex, type BlobPlace } from './blob-index.ts';
import { BlobNodes } from './blob-nodes.ts';
import { LAST_USE_FLUSH_MS } from './constants.ts';
import { BLOB_ENTRY_CODEC } from './entry-codec.ts';
import { BlobError } from './errors.ts';
import { EvictionNotes } from './eviction-notes.ts';
import type { LeafBits } from './leaf-bits.ts';
import type { BlobMetrics } from './metrics.ts';
import { PartialBlob } from './partial-blob.ts';
import { startUse } from './popularity.ts';
import { RECEPTION_CODEC, type ReceptionRecord } from './reception-codec.ts';

export interface BlobCatalogModules {
  readonly database: Database;
  readonly disk: BlobDisk;
  readonly cache: BlobCache;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: BlobMetrics;
}

export interface BlobCatalogOptions {
  readonly maxBytes: number;
  readonly maxBlobs: number;
}

/** The name of a blob's file; undefined for one in the database. */
export function fileNameOf(blob: BlobId, entry: BlobEntry): BlobFileName | undefined {
  return entry.place === 'file' ? { blob, isSealed: entry.sealedKey !== null } : undefined;
}

/** Which blobs are here, whole or in part: the index in memory, its rows, and the room that they take. */
export class BlobCatalog {
  readonly nodes: BlobNodes;
  readonly smallBlobs: Repository<Uint8Array>;
  readonly #database: Database;
  readonly #disk: BlobDisk;
  readonly #cache: BlobCache;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: BlobMetrics;
  readonly #options: BlobCatalogOptions;
  readonly #entries: Repository<BlobEntry>;
  readonly #receptions: Repository<ReceptionRecord>;
  readonly #evictions: EvictionNotes;
  readonly #index: BlobIndex;
  readonly #partials = new Map<BlobId, PartialBlob>();
  readonly #storing = new Map<BlobId, Promise<void>>();
  readonly #touched = new Set<BlobId>();
  #flushTimer: Disposable | undefined;
  #isStopping = false;

  constructor(modules: BlobCatalogModules, options: BlobCatalogOptions) {
    this.#database = modules.database;
    this.#disk = modules.disk;
    this.#cache = modules.cache;
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#metrics = modules.metrics;
    this.#options = options;
    this.nodes = new BlobNodes(modules.database);
    this.smallBlobs = modules.database.repository('blob-bytes', BYTES_CODEC);
    this.#entries = modules.database.repository('blobs', BLOB_ENTRY_CODEC);
    this.#receptions = modules.database.repository('blob-receptions', RECEPTION_CODEC);
    this.#evictions = new EvictionNotes(modules.database);
    this.#index = new BlobIndex(options);
  }

  async load(): Promise<void> {
    const found: (readonly [string, BlobEntry])[] = [];
    for await (const entry of this.#entries.entries()) found.push(entry);
    found.sort(([, a], [, b]) => a.lastUseMs - b.lastUseMs);
    for (const [blob, entry] of found) this.#index.add(BlobId(blob), entry);
    const superseded: WriteOperation[] = [];
    for await (const [key, record] of this.#receptions.entries()) {
      const blob = BlobId(key);
      if (this.#index.get(blob) === undefined) this.#addPartial(new PartialBlob(blob, record));
      else superseded.push(this.#receptions.deleteOperation(key));
    }
    await this.#database.write(superseded);
    await this.#evictions.load();
    this.reportSize();
  }

  /** Before `load`: of what was on its way out when the process was killed, the rows go too. */
  async finishRemovals(leaving: readonly BlobFileName[]): Promise<void> {
    const operations: WriteOperation[] = [];
    for (const name of leaving) {
      const entry = await this.#entries.get(name.blob);
      const current = entry && fileNameOf(name.blob, entry);
      if (entry === undefined || current?.isSealed !== name.isSealed) continue;
      // It may have been stored again since.
      if ((await this.#disk.read(name, 0, 1)) !== undefined) continue;
      const nodes = this.nodes.deleteOperations(name.blob, entry.sizeBytes);
      const notes = this.#evictions.noteOperations([name.blob], this.#clock.nowMs());
      operations.push(this.#entries.deleteOperation(name.blob), ...nodes, ...notes);
    }
    await this.#database.write(operations);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#flushTimer?.[Symbol.dispose]();
    await this.#flushLastUse();
  }

  get(blob: BlobId): BlobEntry | undefined {
    return this.#index.get(blob);
  }

  entries(): Iterable<readonly [BlobId, BlobEntry]> {
    return this.#index.entries();
  }

  partial(blob: BlobId): PartialBlob | undefined {
    return this.#partials.get(blob);
  }

  partials(): Iterable<PartialBlob> {
    return this.#partials.values();
  }

  isPinned(blob: BlobId): boolean {
    return this.#index.isPinned(blob);
  }

  usage(): { readonly blobs: number; readonly bytes: number } {
    return { blobs: this.#index.size, bytes: this.#index.storedBytes };
  }

  isStoring(blob: BlobId): boolean {
    return this.#storing.has(blob);
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

  /** False if it is not here. */
  touch(blob: BlobId): boolean {
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

  createEntry(sizeBytes: number, place: BlobPlace, sealedKey: string | null): BlobEntry {
    return { sizeBytes, place, sealedKey, ...startUse(this.#clock.nowMs()) };
  }

  /** Makes room, does the storing, and ends the promise of room whatever comes of it. @throws BlobError */
  async withRoom<Result>(sizeBytes: number, store: () => Promise<Result>): Promise<Result> {
    const { maxBytes } = this.#options;
    if (sizeBytes > maxBytes) throw new BlobError({ code: 'BLOB_TOO_LARGE', sizeBytes, maxBytes });
    const victims = this.#index.reserve(sizeBytes);
    if (victims === undefined) {
      this.#metrics.refused.increment({ code: 'BLOB_NO_ROOM' });
      throw new BlobError({ code: 'BLOB_NO_ROOM', sizeBytes, maxBytes });
    }
    try {
      if (victims.length > 0) {
        this.#metrics.evicted.increment({}, victims.length);
        await this.#evict(victims);
      }
      return await store();
    } finally {
      this.#index.release(sizeBytes);
      this.reportSize();
    }
  }

  /**
   * The same blob arriving twice at once is stored once. What has arrived of it is pinned: its file is replaced before
   * its row is, and must not go with it.
   */
  storeOnce(blob: BlobId, store: () => Promise<void>): Promise<void> {
    const running = this.#storing.get(blob);
    if (running !== undefined) return running;
    const pin = this.pin(blob);
    const storing = store().finally(() => {
      this.#storing.delete(blob);
      pin[Symbol.dispose]();
    });
    this.#storing.set(blob, storing);
    return storing;
  }

  /** Resolves, whatever came of it, when nobody is storing this blob. */
  async whenStored(blob: BlobId): Promise<void> {
    for (let storing = this.#storing.get(blob); storing !== undefined; storing = this.#storing.get(blob)) {
      await storing.catch(() => undefined);
    }
  }

  /** Takes a blob in whose bytes are in their place, instead of what was there of it. Durable when it resolves. */
  async add(blob: BlobId, entry: BlobEntry, operations: readonly WriteOperation[]): Promise<void> {
    const rows = [this.#entries.putOperation(blob, entry), this.#receptions.deleteOperation(blob)];
    const notes = this.#evictions.forgetOperations(blob);
    await this.#database.write([...rows, ...notes, ...operations], { durable: true });
    const replaced: (BlobFileName | undefined)[] = [];
    const before = this.#index.get(blob);
    if (before !== undefined) replaced.push(fileNameOf(blob, before));
    const partial = this.#partials.get(blob);
    if (partial !== undefined) {
      this.#partials.delete(blob);
      partial.isGone = true;
      replaced.push(partial.name);
    }
    this.#index.add(blob, entry);
    const name = fileNameOf(blob, entry);
    for (const old of replaced) {
      if (old !== undefined && old.isSealed !== name?.isSealed) await this.#disk.remove(old)();
    }
    this.reportSize();
  }

  /** Room was made for it. Its row is written before anything is put into its file. */
  async addPartial(partial: PartialBlob): Promise<void> {
    this.#addPartial(partial);
    await this.#receptions.put(partial.blob, partial.describe(partial.leaves));
    this.reportSize();
  }

  /** Notes the leaves of which the bytes survive a power cut. */
  async putPartial(partial: PartialBlob, leaves: LeafBits): Promise<void> {
    if (!partial.isGone) await this.#receptions.put(partial.blob, partial.describe(leaves));
  }

  /** Makes a damaged blob one that has arrived in part: its sound leaves stay where they are. */
  async demote(blob: BlobId, entry: BlobEntry, sound: LeafBits): Promise<void> {
    if (!this.isCurrent(blob, entry)) return;
    const { sizeBytes, sealedKey } = entry;
    const lastUseMs = this.#clock.nowMs();
    const partial = new PartialBlob(blob, { sizeBytes, sealedKey, lastUseMs, leaves: sound.toBytes() });
    this.#cache.forget(blob);
    this.#touched.delete(blob);
    this.#addPartial(partial);
    const row = this.#receptions.putOperation(blob, partial.describe(sound));
    await this.#database.write([this.#entries.deleteOperation(blob), row]);
    this.reportSize();
  }

  /** True if the blob is still kept as it was when `entry` was read. */
  isCurrent(blob: BlobId, entry: BlobEntry): boolean {
    const now = this.#index.get(blob);
    return now?.place === entry.place && now.sealedKey === entry.sealedKey && !this.#storing.has(blob);
  }

  /**
   * Everything before the first await happens at once: a blob that is stored again right after is queued behind it in
   * the database, and its file is not the one that is deleted. What is being stored takes the place of what is here of
   * it, and stays.
   */
  async remove(blobs: readonly BlobId[], notes: readonly WriteOperation[] = []): Promise<void> {
    const frees: (() => Promise<void>)[] = [];
    const operations = blobs.flatMap((blob) => (this.isStoring(blob) ? [] : this.#take(blob, frees)));
    await this.#database.write([...operations, ...notes]);
    for (const free of frees) await free();
    this.reportSize();
  }

  async #evict(victims: readonly BlobId[]): Promise<void> {
    const whole = victims.filter((blob) => this.#index.get(blob) !== undefined);
    await this.remove(victims, this.#evictions.noteOperations(whole, this.#clock.nowMs()));
  }

  reportSize(): void {
    this.#metrics.bytes.set(this.#index.storedBytes);
    this.#metrics.blobs.set(this.#index.size);
    this.#metrics.receptions.set(this.#partials.size);
  }

  #take(blob: BlobId, frees: (() => Promise<void>)[]): WriteOperation[] {
    const entry = this.#index.get(blob);
    const partial = this.#partials.get(blob);
    this.#index.remove(blob);
    this.#partials.delete(blob);
    this.#cache.forget(blob);
    this.#touched.delete(blob);
    if (partial !== undefined) partial.isGone = true;
    const name = entry === undefined ? partial?.name : fileNameOf(blob, entry);
    if (name !== undefined) frees.push(this.#disk.remove(name));
    const sizeBytes = entry?.sizeBytes ?? partial?.sizeBytes ?? 0;
    const rows = [this.#entries.deleteOperation(blob), ...this.nodes.deleteOperations(blob, sizeBytes)];
    if (entry?.place === 'database') rows.push(this.smallBlobs.deleteOperation(blob));
    if (partial !== undefined) rows.push(this.#receptions.deleteOperation(blob));
    return rows;
  }

  #addPartial(partial: PartialBlob): void {
    this.#index.addPartial(partial.blob, partial.sizeBytes, partial.lastUseMs);
    this.#partials.set(partial.blob, partial);
  }

  async #flushLastUse(): Promise<void> {
    const operations = [...this.#touched].flatMap((blob) => {
      const entry = this.#index.get(blob);
      return entry === undefined ? [] : [this.#entries.putOperation(blob, entry)];
    });
    this.#touched.clear();
    await this.#database.write(operations);
  }
}
