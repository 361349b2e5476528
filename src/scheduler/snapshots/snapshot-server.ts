import type { SnapshotStore } from '../../blob/interface.ts';
import type { BlobId } from '../../domain/ids.ts';
import type { BlobRequest, BlobResponse } from '../../domain/messages.ts';
import { decodeObject } from '../../domain/object-type.ts';
import { SNAPSHOT } from '../../domain/snapshot.ts';
import type { AbortOptions } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { IdleCache } from '../../lib/idle-cache.ts';
import { ITEMS_PER_FRAME, SERVED_SNAPSHOT_BYTES } from './constants.ts';

interface ServedSnapshot {
  readonly bytes: Uint8Array;
  /** SHA-256 of each item, one after the other. */
  readonly items: Uint8Array;
}

const DIGEST_BYTES = 32;

/** Answers requests for snapshots and their items; whether the peer may have them is for the caller to know. */
export class SnapshotServer implements Disposable {
  readonly #store: Pick<SnapshotStore, 'find' | 'readSnapshot' | 'readItem'>;
  readonly #served: IdleCache<BlobId, ServedSnapshot>;

  constructor(store: Pick<SnapshotStore, 'find' | 'readSnapshot' | 'readItem'>, modules: { readonly clock: Clock }) {
    this.#store = store;
    this.#served = new IdleCache(modules, {
      maxBytes: SERVED_SNAPSHOT_BYTES,
      sizeOf: ({ bytes, items }) => bytes.length + items.length,
    });
  }

  [Symbol.dispose](): void {
    this.#served[Symbol.dispose]();
  }

  /** Undefined if it names no snapshot that is here. */
  async readChunk(request: Extract<BlobRequest, { op: 'read' }>): Promise<BlobResponse | undefined> {
    const served = await this.#find(request.blob);
    if (served === undefined) return undefined;
    const bytes = served.bytes.subarray(request.offset, request.offset + request.maxBytes);
    return { kind: 'chunk', sizeBytes: served.bytes.length, bytes };
  }

  /**
   * One frame of items at a time, read when the one before was taken. Ends with `not-found` at the first item that
   * the snapshot does not have or that is here no more.
   */
  async *readItems(
    request: Extract<BlobRequest, { op: 'items' }>,
    options: AbortOptions,
  ): AsyncGenerator<BlobResponse, void> {
    const served = await this.#find(request.snapshot);
    for (let first = 0; first < request.items.length; first += ITEMS_PER_FRAME) {
      options.signal?.throwIfAborted();
      const places = request.items.slice(first, first + ITEMS_PER_FRAME);
      const frame = served === undefined ? undefined : await this.#readFrame(served, places);
      yield frame ?? { kind: 'not-found' };
      if (frame === undefined) return;
    }
  }

  async #readFrame(served: ServedSnapshot, places: readonly number[]): Promise<BlobResponse | undefined> {
    const items = await Promise.all(places.map((place) => this.#readItem(served, place)));
    const found = items.filter((item) => item !== undefined);
    return found.length < items.length ? undefined : { kind: 'items', items: found };
  }

  async #readItem(served: ServedSnapshot, place: number): Promise<Uint8Array | undefined> {
    const offset = place * DIGEST_BYTES;
    if (offset >= served.items.length) return undefined;
    return await this.#store.readItem(served.items.subarray(offset, offset + DIGEST_BYTES));
  }

  async #find(snapshot: BlobId): Promise<ServedSnapshot | undefined> {
    if (this.#store.find(snapshot) === undefined) {
      this.#served.delete(snapshot);
      return undefined;
    }
    const known = this.#served.get(snapshot);
    if (known !== undefined) return known;
    const bytes = await this.#store.readSnapshot(snapshot);
    if (bytes === undefined) return undefined;
    const served = { bytes, items: decodeObject(SNAPSHOT, bytes).items };
    this.#served.set(snapshot, served);
    return served;
  }
}
