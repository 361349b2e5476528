import type { BlobId } from '../../domain/ids.ts';
import { encodeObject } from '../../domain/object-type.ts';
import { SNAPSHOT, SNAPSHOT_PIECE_BYTES, type Snapshot } from '../../domain/snapshot.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { formatRawId, sha256 } from '../../lib/cid.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Database, DiskObserver } from '../../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import { toBlobErrors } from '../disk-errors.ts';
import { BlobError } from '../errors.ts';
import type { SnapshotCollector, SnapshotEntry, SnapshotKey, SnapshotStore, SnapshotWriter } from '../interface.ts';
import { MAX_REFERENCES, MAX_SMALL_ITEMS, MAX_SNAPSHOTS, SWEEP_INTERVAL_MS } from './constants.ts';
import { eachDigest } from './each-digest.ts';
import { FolderDisk } from './folder-disk.ts';
import { fromDigestKey, ItemIndex, type Pack, type StoredItem, toDigestKey } from './item-index.ts';
import { KnownSnapshotWriter } from './known-snapshot-writer.ts';
import { loadPacks, loadSnapshots } from './load-store.ts';
import { createSnapshotMetrics, type SnapshotMetrics } from './metrics.ts';
import { ObservedDisk } from './observed-disk.ts';
import type { SnapshotStoreOptions } from './options.ts';
import type { PackDisk } from './pack-disk.ts';
import { PackWriter, packName } from './pack-file.ts';
import { DIGEST_BYTES } from './pack-format.ts';
import { PackReclaimer } from './pack-reclaimer.ts';
import { type Registration, SnapshotCatalog, type StoredSnapshot } from './snapshot-catalog.ts';
import { type DraftHost, type DraftTarget, SnapshotDraft } from './snapshot-draft.ts';
import { SnapshotDuties } from './snapshot-duties.ts';

export interface SnapshotStoreModules {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Opens the store of a folder, after what a crash left was swept. @throws BlobError, StorageError */
export async function createSnapshotStore(
  modules: SnapshotStoreModules & { readonly observer?: DiskObserver | undefined },
  options: SnapshotStoreOptions,
): Promise<PackedSnapshotStore> {
  const folder = new FolderDisk({ folder: options.folder });
  const disk = modules.observer === undefined ? folder : new ObservedDisk({ disk: folder, observer: modules.observer });
  const store = new PackedSnapshotStore({ ...modules, disk }, options);
  try {
    await store.start();
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
  return store;
}

/**
 * Snapshots in packs: the items that a snapshot brings and its object are one file, written in one go. Who keeps it and
 * until when is in the database, written after the file: what no row names is swept at the next start.
 */
export class PackedSnapshotStore implements SnapshotStore {
  readonly #disk: PackDisk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #duties: SnapshotDuties;
  readonly #metrics: SnapshotMetrics;
  readonly #options: SnapshotStoreOptions;
  readonly #index = new ItemIndex();
  readonly #catalog = new SnapshotCatalog();
  readonly #drafts = new Set<SnapshotDraft>();
  readonly #reclaimer: PackReclaimer;
  #reservedBytes = 0;
  #nextNumber = 1;
  #sweepTimer: Disposable | undefined;
  #isStopping = false;

  constructor(modules: SnapshotStoreModules & { readonly disk: PackDisk }, options: SnapshotStoreOptions) {
    this.#disk = modules.disk;
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#metrics = createSnapshotMetrics(modules.metrics);
    this.#options = options;
    this.#duties = new SnapshotDuties({
      database: modules.database,
      catalog: this.#catalog,
      index: this.#index,
      guard: (task) => this.#guard(task),
    });
    this.#reclaimer = new PackReclaimer({
      disk: this.#disk,
      index: this.#index,
      metrics: this.#metrics,
      createWriter: () => this.#createWriter(),
      onDamaged: (item) => {
        this.#loseItem(item).catch((error: unknown) => this.#logger.warn({ error }, 'a damaged snapshot stays listed'));
      },
    });
  }

  /** @throws BlobError, StorageError */
  async start(): Promise<void> {
    const parts = { disk: this.#disk, index: this.#index, catalog: this.#catalog, logger: this.#logger };
    await this.#guard(async () => {
      const { nextNumber, packBySnapshot } = await loadPacks(parts);
      this.#nextNumber = nextNumber;
      await this.#duties.removeRows(await loadSnapshots(parts, this.#duties.rows(), packBySnapshot));
    });
    await this.#sweep();
    this.#scheduleSweep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#sweepTimer?.[Symbol.dispose]();
    for (const draft of this.#drafts) await draft[Symbol.asyncDispose]();
    await this.#duties.settle();
    await this.#reclaimer.stop();
    await this.#disk[Symbol.asyncDispose]();
  }

  async begin(
    key: SnapshotKey,
    snapshot: Snapshot,
    options: { readonly keptUntilMs: number },
  ): Promise<SnapshotWriter> {
    this.#assertCount(snapshot.items.length / DIGEST_BYTES);
    const bytes = encodeObject(SNAPSHOT, snapshot);
    const draft = this.#createDraft({ ...key, ...options });
    try {
      return await KnownSnapshotWriter.begin(draft, snapshot, bytes);
    } catch (error) {
      await draft[Symbol.asyncDispose]();
      throw error;
    }
  }

  async collect(key: SnapshotKey, options: { readonly keptUntilMs: number }): Promise<SnapshotCollector> {
    return this.#createDraft({ ...key, ...options });
  }

  list(filter: Parameters<SnapshotStore['list']>[0]): readonly SnapshotEntry[] {
    return this.#catalog.list(filter);
  }

  find(snapshot: BlobId): SnapshotEntry | undefined {
    const [registration] = this.#catalog.find(snapshot)?.registrations ?? [];
    return registration?.entry;
  }

  findMissing(items: Uint8Array): readonly number[] {
    const places: number[] = [];
    for (let place = 0; place < items.length / DIGEST_BYTES; place += 1) {
      if (this.#index.find(toDigestKey(items, place * DIGEST_BYTES)) === undefined) places.push(place);
    }
    return places;
  }

  findForeign(items: Uint8Array, isOwn: (entry: SnapshotEntry) => boolean): readonly number[] {
    const own = new Set<StoredItem>();
    for (const snapshot of this.#catalog.snapshots()) {
      if (![...snapshot.registrations].some(({ entry }) => isOwn(entry))) continue;
      for (const item of snapshot.items) own.add(item);
    }
    const places: number[] = [];
    for (let place = 0; place < items.length / DIGEST_BYTES; place += 1) {
      const item = this.#index.find(toDigestKey(items, place * DIGEST_BYTES));
      if (item !== undefined && !own.has(item)) places.push(place);
    }
    return places;
  }

  async readSnapshot(snapshot: BlobId): Promise<Uint8Array | undefined> {
    const stored = this.#catalog.find(snapshot);
    if (stored === undefined) return undefined;
    const { pack, sizeBytes } = stored;
    const bytes = await this.#guard(() => this.#disk.read(packName(pack.number), pack.snapshotOffset, sizeBytes));
    if (bytes !== undefined && formatRawId(sha256(bytes)) === snapshot) return bytes;
    if (this.#catalog.find(snapshot) !== stored) return undefined;
    await this.#forgetDamaged([stored], snapshot);
    throw new BlobError({ code: 'BLOB_CORRUPT', blob: snapshot });
  }

  async readItem(digest: Uint8Array): Promise<Uint8Array | undefined> {
    const key = toDigestKey(digest);
    for (;;) {
      const item = this.#index.find(key);
      if (item === undefined) return undefined;
      const { pack, offset, sizeBytes } = item;
      const bytes = await this.#guard(() => this.#disk.read(packName(pack.number), offset, sizeBytes));
      if (bytes !== undefined && areBytesEqual(sha256(bytes), fromDigestKey(key))) return bytes;
      // A compaction may have moved it meanwhile, and then removed what was read.
      if (this.#index.find(key) !== item || item.pack !== pack) continue;
      await this.#loseItem(item);
      throw new BlobError({ code: 'BLOB_CORRUPT', blob: formatRawId(digest) });
    }
  }

  async keepUntil(key: SnapshotKey, keptUntilMs: number): Promise<void> {
    await this.#duties.keepUntil(key, keptUntilMs);
  }

  async release(key: SnapshotKey): Promise<void> {
    await this.#duties.release(key);
    this.#reclaim();
  }

  usage(): { readonly snapshots: number; readonly bytes: number; readonly limitBytes: number } {
    return { snapshots: this.#catalog.size, bytes: this.#index.packBytes, limitBytes: this.#options.maxBytes };
  }

  /** Resolves when what nobody needs is gone, as far as it is worth it. */
  async whenReclaimed(): Promise<void> {
    await this.#reclaimer.run('worthwhile');
  }

  #createDraft(target: DraftTarget): SnapshotDraft {
    if (this.#isStopping) throw this.#closed();
    const host: DraftHost = {
      folder: this.#options.folder,
      index: this.#index,
      createWriter: () => this.#createWriter(),
      assertItems: (items) => this.#assertItems(items),
      takeRoom: (bytes) => this.#takeRoom(bytes),
      giveRoom: (bytes) => {
        this.#reservedBytes -= bytes;
      },
      guard: (task) => this.#guard(task),
      commit: (draft, snapshot, bytes) => this.#commit(draft, snapshot, bytes),
      onEnd: (draft) => {
        this.#drafts.delete(draft);
        this.#reclaim();
      },
    };
    const draft = new SnapshotDraft(host, target);
    this.#drafts.add(draft);
    return draft;
  }

  #createWriter(): PackWriter {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    return new PackWriter(this.#disk, number);
  }

  async #commit(draft: SnapshotDraft, snapshot: Snapshot, bytes: Uint8Array): Promise<SnapshotEntry> {
    const digest = sha256(bytes);
    const id = formatRawId(digest) as BlobId;
    let stored = this.#catalog.find(id);
    if (stored === undefined) {
      this.#assertCount(snapshot.items.length / DIGEST_BYTES);
      await draft.reserve(draft.writer.payloadBytes + bytes.length, draft.writer.itemCount);
      const written = await this.#guard(() => draft.writer.finish({ digest, bytes }));
      draft.giveRoom();
      stored = await this.#store(id, snapshot, { pack: this.#index.adopt(written), sizeBytes: bytes.length });
    } else stored.holders += 1;
    try {
      const { pack, items, itemBytes, sizeBytes, registrations } = stored;
      const addedBytes = registrations.size > 0 ? 0 : sumBytes(items.filter((item) => item.pack === pack));
      const reference = { blob: id, sizeBytes };
      const entry = { ...draft.target, job: snapshot.job, reference, itemBytes, addedBytes };
      await this.#duties.keep(stored, entry);
      this.#metrics.written.increment({}, addedBytes);
      this.#metrics.shared.increment({}, itemBytes - addedBytes);
      return entry;
    } finally {
      this.#duties.letGo(stored);
      this.#reportSize();
    }
  }

  /** With one holder, the caller. */
  async #store(
    id: BlobId,
    snapshot: Snapshot,
    { pack, sizeBytes }: { readonly pack: Pack; readonly sizeBytes: number },
  ): Promise<StoredSnapshot> {
    pack.holders += 1;
    const items: StoredItem[] = [];
    let missing = 0;
    await eachDigest(snapshot.items, (key) => {
      const item = this.#index.find(key);
      if (item === undefined) missing += 1;
      else {
        this.#index.retain(item);
        items.push(item);
      }
    });
    const known = this.#catalog.find(id);
    if (known === undefined && missing === 0) {
      const { job, step } = snapshot;
      const itemBytes = sumBytes(items);
      const registrations = new Set<Registration>();
      const stored = { id, job, step, pack, sizeBytes, items, itemBytes, holders: 1, registrations };
      this.#catalog.addSnapshot(stored);
      return stored;
    }
    for (const item of items) this.#index.release(item);
    pack.holders -= 1;
    if (known === undefined) throw new BlobError({ code: 'SNAPSHOT_INCOMPLETE', missing });
    known.holders += 1;
    return known;
  }

  async #loseItem(item: StoredItem): Promise<void> {
    if (item.isLost) return;
    this.#index.lose(item);
    const affected = [...this.#catalog.snapshots()].filter(({ items }) => items.includes(item));
    await this.#forgetDamaged(affected, formatRawId(fromDigestKey(item.key)));
  }

  /** A snapshot is whole or not there. */
  async #forgetDamaged(affected: readonly StoredSnapshot[], blob: string): Promise<void> {
    this.#metrics.refused.increment({ code: 'BLOB_CORRUPT' });
    const snapshots = affected.map(({ id }) => id);
    this.#logger.error({ blob, snapshots }, 'a piece of snapshots was damaged on disk; they have been removed');
    await this.#duties.forget(affected);
    this.#reclaim();
  }

  async #takeRoom(bytes: number): Promise<void> {
    if (!this.#hasRoom(bytes)) {
      await this.#sweep();
      await this.#guard(() => this.#reclaimer.run('everything'));
    }
    if (!this.#hasRoom(bytes)) {
      throw this.#full('bytes', bytes, {
        used: this.#index.packBytes + this.#reservedBytes,
        limit: this.#options.maxBytes,
      });
    }
    this.#reservedBytes += bytes;
  }

  #hasRoom(bytes: number): boolean {
    return this.#index.packBytes + this.#reservedBytes + bytes <= this.#options.maxBytes;
  }

  #assertItems(more: number): void {
    const { size } = this.#index;
    const limit = Math.max(MAX_SMALL_ITEMS, Math.ceil(this.#options.maxBytes / SNAPSHOT_PIECE_BYTES));
    if (size + more > limit) throw this.#full('items', more, { used: size, limit });
  }

  #assertCount(items: number): void {
    const { size, references } = this.#catalog;
    if (size >= MAX_SNAPSHOTS) throw this.#full('snapshots', 1, { used: size, limit: MAX_SNAPSHOTS });
    if (references + items > MAX_REFERENCES) {
      throw this.#full('items', items, { used: references, limit: MAX_REFERENCES });
    }
  }

  #full(
    what: 'bytes' | 'snapshots' | 'items',
    needed: number,
    { used, limit }: { readonly used: number; readonly limit: number },
  ): BlobError {
    this.#metrics.refused.increment({ code: 'SNAPSHOT_STORE_FULL' });
    return new BlobError({ code: 'SNAPSHOT_STORE_FULL', what, needed, used, limit });
  }

  #closed(): BlobError {
    return new BlobError({ code: 'BLOB_IO', directory: this.#options.folder, reason: 'the store is closed' });
  }

  async #sweep(): Promise<void> {
    await this.#duties.releaseEnded(this.#clock.nowMs());
    this.#reclaim();
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.#clock.schedule(SWEEP_INTERVAL_MS, () => {
      this.#sweep()
        .catch((error: unknown) => this.#logger.warn({ error }, 'snapshots past their time could not be removed'))
        .finally(() => {
          if (!this.#isStopping) this.#scheduleSweep();
        });
    });
  }

  /** In the background. */
  #reclaim(): void {
    if (this.#isStopping) return;
    this.#guard(() => this.#reclaimer.run('worthwhile'))
      .catch((error: unknown) => this.#logger.warn({ error }, 'the disk of old snapshots could not be freed'))
      .finally(() => this.#reportSize());
  }

  #reportSize(): void {
    this.#metrics.bytes.set(this.#index.packBytes);
    this.#metrics.snapshots.set(this.#catalog.size);
    this.#metrics.items.set(this.#index.size);
    this.#metrics.packs.set(this.#index.packs.size);
  }

  #guard<Result>(task: () => Promise<Result>): Promise<Result> {
    return toBlobErrors(this.#options.folder, task);
  }
}

function sumBytes(items: readonly StoredItem[]): number {
  return items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
