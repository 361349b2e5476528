import { BlobError } from '../../blob/errors.ts';
import type { SnapshotEntry, SnapshotKey, SnapshotStore, SnapshotWriter } from '../../blob/interface.ts';
import type { SnapshotReference } from '../../domain/checkpoint.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { SNAPSHOT, SNAPSHOT_PIECE_BYTES } from '../../domain/snapshot.ts';
import { raceSignal } from '../../lib/abort.ts';
import { concatBytes } from '../../lib/bytes.ts';
import { formatRawId, sha256 } from '../../lib/cid.ts';
import type { Clock } from '../../lib/clock.ts';
import type { PeerTransport } from '../../network/interface.ts';
import { DIGEST_BYTES } from '../../proofs/state-pieces.ts';
import type { MetricsRegistry } from '../../telemetry/interface.ts';
import { fetchChunks } from '../blob-fetcher.ts';
import { SchedulerError } from '../errors.ts';
import { FETCH_STALL_MS, SUSPENDED_FETCH_MS, SUSPENDED_FETCHES } from './constants.ts';
import { SnapshotError } from './errors.ts';
import { fetchItems } from './fetch-items.ts';
import { createSnapshotFetchMetrics, type SnapshotFetchMetrics } from './metrics.ts';
import { type ExpectedSnapshot, type OpenedSnapshot, openSnapshot } from './open-snapshot.ts';
import { openItem } from './read-pieces.ts';
import { StallWatch } from './stall-watch.ts';

export interface SnapshotFetchRequest {
  readonly peer: PeerKey;
  /** As a signed checkpoint or lease says. */
  readonly reference: SnapshotReference;
  /** For whom it is kept here. */
  readonly key: SnapshotKey;
  /** The job's snapshot key, where the caller has it: then every item is opened and compared with the state. */
  readonly snapshotKey: Uint8Array | null;
  readonly expected: ExpectedSnapshot;
  readonly keptUntilMs: number;
  /** Most bytes of items that are not here yet; the store's own limit if absent. */
  readonly maxNewBytes?: number;
  /**
   * What may be kept for this request without its peer showing that it has it. By default snapshots of the same lease, and
   * for a provider those that it made of the same job.
   */
  readonly isOwn?: (entry: SnapshotEntry) => boolean;
}

export interface FetchProgress {
  /** Of the snapshot; those that came so far; those that were here before. */
  readonly items: number;
  readonly itemsMoved: number;
  readonly itemsHere: number;
  /** Of items and the snapshot's object. */
  readonly bytesMoved: number;
}

export interface FetchedSnapshot extends FetchProgress {
  readonly entry: SnapshotEntry;
  readonly bytesHere: number;
  readonly durationMs: number;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FetchProgress) => void;
}

export interface SnapshotFetcherModules {
  readonly transport: Pick<PeerTransport, 'request' | 'stream'>;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
}

export interface SnapshotFetcherOptions {
  readonly stallMs?: number;
  readonly suspendedMs?: number;
}

/** The object that was fetched, and the writer with the items that arrived. */
interface BegunFetch {
  readonly key: SnapshotKey;
  readonly bytes: Uint8Array;
  readonly writer: SnapshotWriter;
  /** As the request that began it has it; null for one that broke off, since another's may expect another state. */
  readonly opened: OpenedSnapshot | null;
}

/** A fetch that broke off. */
interface SuspendedFetch extends BegunFetch {
  readonly expiry: Disposable;
}

type SuspendedName = `${SnapshotKey['role']}/${SnapshotKey['lease']}/${BlobId}`;

/** Figures of a fetch under way. */
interface Tally {
  items: number;
  itemsMoved: number;
  itemsHere: number;
  bytesMoved: number;
  itemBytesMoved: number;
}

/**
 * Brings snapshots of other nodes here: only the items that are not here yet. What is here for somebody else is asked for
 * all the same: else a peer that knows no more than its hash could have it kept as its own, and read it. One fetch of a snapshot at a time; who asks
 * for the same meanwhile waits for it. What arrived before a fetch broke off is kept for a while, for the next one.
 */
export class SnapshotFetcher implements AsyncDisposable {
  readonly #modules: SnapshotFetcherModules;
  readonly #metrics: SnapshotFetchMetrics;
  readonly #stallMs: number;
  readonly #suspendedMs: number;
  readonly #running = new Map<BlobId, Promise<unknown>>();
  /** The oldest first. */
  readonly #suspended = new Map<SuspendedName, SuspendedFetch>();
  #isStopped = false;

  constructor(modules: SnapshotFetcherModules, options: SnapshotFetcherOptions = {}) {
    this.#modules = modules;
    this.#metrics = createSnapshotFetchMetrics(modules.metrics);
    this.#stallMs = options.stallMs ?? FETCH_STALL_MS;
    this.#suspendedMs = options.suspendedMs ?? SUSPENDED_FETCH_MS;
  }

  /**
   * Resolves when it is in the store, durably.
   * @throws SnapshotError SNAPSHOT_NOT_SERVED, SNAPSHOT_INVALID, SNAPSHOT_STALLED, SNAPSHOT_TOO_LARGE;
   *   BlobError SNAPSHOT_STORE_FULL, BLOB_DISK_FULL; NetworkError
   */
  async fetch(request: SnapshotFetchRequest, options: FetchOptions = {}): Promise<FetchedSnapshot> {
    const { blob } = request.reference;
    for (;;) {
      options.signal?.throwIfAborted();
      const other = this.#running.get(blob);
      if (other === undefined) break;
      await waitFor(other, options.signal);
    }
    const running = this.#fetch(request, options);
    this.#running.set(
      blob,
      running.catch(() => undefined),
    );
    try {
      const fetched = await running;
      this.#metrics.fetches.increment({ outcome: fetched.bytesMoved > 0 ? 'moved' : 'here' });
      return fetched;
    } catch (error) {
      this.#metrics.fetches.increment({ outcome: 'failed' });
      throw error;
    } finally {
      this.#running.delete(blob);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await Promise.all([...this.#suspended.keys()].map((name) => this.#giveUp(name)));
  }

  async #fetch(request: SnapshotFetchRequest, options: FetchOptions): Promise<FetchedSnapshot> {
    const { clock, store } = this.#modules;
    const { peer, reference, key, keptUntilMs } = request;
    const startedMs = clock.monotonicMs();
    const silentMs = this.#stallMs;
    const createReason = (): Error =>
      new SnapshotError({ code: 'SNAPSHOT_STALLED', snapshot: reference.blob, peer, silentMs });
    using watch = new StallWatch({ clock }, { silentMs, createReason, signal: options.signal });
    const tally: Tally = { items: 0, itemsMoved: 0, itemsHere: 0, bytesMoved: 0, itemBytesMoved: 0 };
    const onBytes = (bytes: number): void => {
      watch.report();
      tally.bytesMoved += bytes;
      this.#metrics.movedBytes.increment({}, bytes);
      options.onProgress?.({ ...tally });
    };
    const begun = await this.#begin(request, watch.signal, onBytes);
    let entry = await this.#complete(begun, request, { signal: watch.signal, tally, onBytes });
    if (begun.key.lease !== key.lease || begun.key.step !== key.step || begun.key.role !== key.role) {
      const { snapshot } = openSnapshot(begun.bytes, { key: null, expected: {} });
      await using writer = await store.begin(key, snapshot, { keptUntilMs });
      entry = await writer.commit();
    } else if (entry.keptUntilMs !== keptUntilMs) {
      await store.keepUntil(key, keptUntilMs);
      entry = { ...entry, keptUntilMs };
    }
    const { itemBytesMoved, ...progress } = tally;
    const bytesHere = entry.itemBytes - itemBytesMoved;
    return { ...progress, entry, bytesHere, durationMs: clock.monotonicMs() - startedMs };
  }

  /** What broke off before, or a new writer for the object, which is fetched unless it is here. */
  async #begin(
    request: SnapshotFetchRequest,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<BegunFetch> {
    const { store } = this.#modules;
    const { reference, key, keptUntilMs } = request;
    const name = nameSuspended(request);
    const suspended = this.#suspended.get(name);
    if (suspended !== undefined) {
      this.#suspended.delete(name);
      suspended.expiry[Symbol.dispose]();
      return suspended;
    }
    const isHere = store.list({}).some((entry) => entry.reference.blob === reference.blob && isOwn(request, entry));
    const here = isHere ? await store.readSnapshot(reference.blob) : undefined;
    const bytes = here ?? (await this.#fetchObject(request, signal, onBytes));
    const opened = this.#open(bytes, request);
    return { key, bytes, opened, writer: await store.begin(key, opened.snapshot, { keptUntilMs }) };
  }

  #open(bytes: Uint8Array, { snapshotKey, expected, maxNewBytes, key }: SnapshotFetchRequest): OpenedSnapshot {
    const opened = openSnapshot(bytes, { key: snapshotKey, expected: { step: key.step, ...expected } });
    if (maxNewBytes === undefined) return opened;
    // All pieces of a memory but the last of its output are whole.
    const missing = this.#modules.store.findMissing(opened.snapshot.items).length;
    const leastBytes = opened.body?.state.kind === 'memory' ? (missing - 1) * SNAPSHOT_PIECE_BYTES : 0;
    if (leastBytes > maxNewBytes) throw tooLarge(leastBytes, maxNewBytes);
    return opened;
  }

  /** @throws SnapshotError SNAPSHOT_NOT_SERVED, SNAPSHOT_INVALID, SNAPSHOT_TOO_LARGE */
  async #fetchObject(
    { peer, reference }: SnapshotFetchRequest,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<Uint8Array> {
    const { blob, sizeBytes } = reference;
    if (sizeBytes > SNAPSHOT.maxBytes) throw tooLarge(sizeBytes, SNAPSHOT.maxBytes);
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of fetchChunks(this.#modules, { peer, blob, sizeBytes }, { signal })) {
        chunks.push(chunk);
        onBytes(chunk.length);
      }
    } catch (error) {
      signal.throwIfAborted();
      throw toSnapshotError(error, blob, peer);
    }
    const bytes = concatBytes(...chunks);
    if (formatRawId(sha256(bytes)) === blob) return bytes;
    throw new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: 'its object has another hash' });
  }

  async #complete(
    begun: BegunFetch,
    request: SnapshotFetchRequest,
    { signal, tally, onBytes }: { signal: AbortSignal; tally: Tally; onBytes: (bytes: number) => void },
  ): Promise<SnapshotEntry> {
    const { writer, bytes } = begun;
    const { store } = this.#modules;
    const { snapshotKey, maxNewBytes, peer } = request;
    try {
      const { snapshot, pieces } = begun.opened ?? this.#open(bytes, request);
      const foreign = store.findForeign(snapshot.items, (entry) => isOwn(request, entry));
      const places = [...new Set([...writer.missing, ...foreign])].sort((a, b) => a - b);
      tally.items = snapshot.items.length / DIGEST_BYTES;
      tally.itemsHere = tally.items - places.length;
      const receive = async (place: number, item: Uint8Array): Promise<void> => {
        if (snapshot.sealed && snapshotKey !== null && pieces !== null) {
          openItem(snapshotKey, pieces.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES), item);
        }
        await addItem(writer, place, item);
        tally.itemsMoved += 1;
        tally.itemBytesMoved += item.length;
        if (maxNewBytes !== undefined && tally.itemBytesMoved > maxNewBytes) {
          throw tooLarge(tally.itemBytesMoved, maxNewBytes);
        }
        onBytes(item.length);
      };
      await fetchItems(this.#modules, { peer, snapshot: request.reference.blob, places, receive }, { signal });
      return await writer.commit();
    } catch (error) {
      await this.#suspend(begun, nameSuspended(request), error);
      throw error;
    }
  }

  /** Kept for the next fetch unless it is the store that failed, or too large. */
  async #suspend(begun: BegunFetch, name: SuspendedName, error: unknown): Promise<void> {
    const isOurs =
      error instanceof BlobError || (error instanceof SnapshotError && error.code === 'SNAPSHOT_TOO_LARGE');
    if (isOurs || this.#isStopped) {
      await begun.writer[Symbol.asyncDispose]();
      return;
    }
    const expiry = this.#modules.clock.schedule(this.#suspendedMs, () => void this.#giveUp(name));
    this.#suspended.set(name, { ...begun, opened: null, expiry });
    const [oldest] = this.#suspended.keys();
    if (this.#suspended.size > SUSPENDED_FETCHES && oldest !== undefined) await this.#giveUp(oldest);
  }

  async #giveUp(name: SuspendedName): Promise<void> {
    const suspended = this.#suspended.get(name);
    if (suspended === undefined) return;
    this.#suspended.delete(name);
    suspended.expiry[Symbol.dispose]();
    await suspended.writer[Symbol.asyncDispose]();
  }
}

/** Whose: what came for one is not another's. */
function nameSuspended({ key, reference }: SnapshotFetchRequest): SuspendedName {
  return `${key.role}/${key.lease}/${reference.blob}`;
}

function isOwn({ key, expected, isOwn: judge }: SnapshotFetchRequest, entry: SnapshotEntry): boolean {
  if (judge !== undefined) return judge(entry);
  if (entry.role !== key.role) return false;
  // A provider's leases are of the job's own requester; a holder is shown leases alone, which may name any job.
  return entry.lease === key.lease || (key.role === 'provider' && entry.job === expected.job);
}

async function addItem(writer: SnapshotWriter, place: number, item: Uint8Array): Promise<void> {
  try {
    await writer.add(place, item);
  } catch (error) {
    if (!(error instanceof BlobError) || error.code !== 'BLOB_MISMATCH') throw error;
    throw new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: `item ${place} has another hash` }, { cause: error });
  }
}

function tooLarge(sizeBytes: number, maxBytes: number): SnapshotError {
  return new SnapshotError({ code: 'SNAPSHOT_TOO_LARGE', sizeBytes, maxBytes });
}

function toSnapshotError(error: unknown, snapshot: BlobId, peer: PeerKey): unknown {
  if (!(error instanceof SchedulerError)) return error;
  if (error.code === 'SCHEDULER_BLOB_NOT_SERVED') {
    return new SnapshotError({ code: 'SNAPSHOT_NOT_SERVED', snapshot, peer }, { cause: error });
  }
  return new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: error.message }, { cause: error });
}

async function waitFor(other: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  await (signal === undefined ? other : raceSignal(other, signal));
}
