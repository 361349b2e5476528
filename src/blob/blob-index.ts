import type { BlobId } from '../domain/ids.ts';
import { IndexedHeap } from '../lib/indexed-heap.ts';
import { computeRank, countUse, startUse, type UseRecord } from './popularity.ts';

export type BlobPlace = 'database' | 'file';

export interface BlobEntry extends UseRecord {
  readonly sizeBytes: number;
  readonly place: BlobPlace;
  /** The key of a blob that is encrypted on disk, wrapped; null for one that is not. */
  readonly sealedKey: string | null;
}

export interface BlobIndexOptions {
  readonly maxBytes: number;
  readonly maxBlobs: number;
}

/** What takes room: a blob, or what has arrived of one. */
interface Slot {
  readonly blob: BlobId;
  readonly sizeBytes: number;
  rank: number;
  /** Among equals, what was used longest ago goes first. */
  order: number;
}

/**
 * What is stored, in the order in which it goes, with pins and with room promised to blobs on their way in. In memory;
 * the caller does the writing.
 */
export class BlobIndex {
  readonly #options: BlobIndexOptions;
  readonly #entries = new Map<BlobId, BlobEntry>();
  readonly #slots = new Map<BlobId, Slot>();
  /** Slots that are not pinned. */
  readonly #evictable = new IndexedHeap<Slot>((a, b) => (a.rank === b.rank ? a.order < b.order : a.rank < b.rank));
  readonly #pins = new Map<BlobId, number>();
  #storedBytes = 0;
  #reservedBytes = 0;
  #reservedBlobs = 0;
  #order = 0;

  constructor(options: BlobIndexOptions) {
    this.#options = options;
  }

  /** Of blobs, and of those that are on their way as if they were here whole. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(blob: BlobId): BlobEntry | undefined {
    return this.#entries.get(blob);
  }

  entries(): IterableIterator<[BlobId, BlobEntry]> {
    return this.#entries.entries();
  }

  add(blob: BlobId, entry: BlobEntry): void {
    this.remove(blob);
    this.#entries.set(blob, entry);
    this.#occupy(blob, entry.sizeBytes, entry);
  }

  /** Room for a blob of which a part is here. */
  addPartial(blob: BlobId, sizeBytes: number, lastUseMs: number): void {
    this.remove(blob);
    this.#occupy(blob, sizeBytes, startUse(lastUseMs));
  }

  /** Of a blob or a part of one. */
  remove(blob: BlobId): void {
    const slot = this.#slots.get(blob);
    if (slot === undefined) return;
    this.#entries.delete(blob);
    this.#slots.delete(blob);
    this.#evictable.remove(slot);
    this.#storedBytes -= slot.sizeBytes;
  }

  /** False if it is not here. */
  touch(blob: BlobId, nowMs: number): boolean {
    const entry = this.#entries.get(blob);
    const slot = this.#slots.get(blob);
    if (entry === undefined || slot === undefined) return false;
    const used = countUse(entry, nowMs);
    this.#entries.set(blob, { ...entry, ...used });
    slot.rank = computeRank(used);
    slot.order = this.#order++;
    this.#evictable.update(slot);
    return true;
  }

  isPinned(blob: BlobId): boolean {
    return this.#pins.has(blob);
  }

  pin(blob: BlobId): void {
    this.#pins.set(blob, (this.#pins.get(blob) ?? 0) + 1);
    const slot = this.#slots.get(blob);
    if (slot !== undefined) this.#evictable.remove(slot);
  }

  unpin(blob: BlobId): void {
    const count = this.#pins.get(blob) ?? 0;
    if (count > 1) {
      this.#pins.set(blob, count - 1);
      return;
    }
    this.#pins.delete(blob);
    const slot = this.#slots.get(blob);
    if (slot !== undefined) this.#evictable.add(slot);
  }

  /**
   * Promises room for one blob and gives those that must go for it, which the caller removes at once; undefined, and
   * nothing promised, if pins and earlier promises leave no room.
   */
  reserve(sizeBytes: number): BlobId[] | undefined {
    const { maxBytes, maxBlobs } = this.#options;
    let bytes = this.#storedBytes + this.#reservedBytes + sizeBytes - maxBytes;
    let blobs = this.#slots.size + this.#reservedBlobs + 1 - maxBlobs;
    const victims: Slot[] = [];
    while (bytes > 0 || blobs > 0) {
      const slot = this.#evictable.peek();
      if (slot === undefined) break;
      this.#evictable.remove(slot);
      victims.push(slot);
      bytes -= slot.sizeBytes;
      blobs -= 1;
    }
    if (bytes > 0 || blobs > 0) {
      for (const slot of victims) this.#evictable.add(slot);
      return undefined;
    }
    this.#reservedBytes += sizeBytes;
    this.#reservedBlobs += 1;
    return victims.map(({ blob }) => blob);
  }

  /** Ends a promise: the blob has been added, or will not be. */
  release(sizeBytes: number): void {
    this.#reservedBytes -= sizeBytes;
    this.#reservedBlobs -= 1;
  }

  #occupy(blob: BlobId, sizeBytes: number, use: UseRecord): void {
    const slot: Slot = { blob, sizeBytes, rank: computeRank(use), order: this.#order++ };
    this.#slots.set(blob, slot);
    if (!this.#pins.has(blob)) this.#evictable.add(slot);
    this.#storedBytes += sizeBytes;
  }
}
