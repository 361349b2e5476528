import { LRUCache } from 'lru-cache';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { SUPPLIED_NOTES_BYTES } from './constants.ts';

/** Bytes counted for a note beside its bits. */
const NOTE_BYTES = 256;

/** Which leaves of a blob one peer has sent. */
export class SuppliedSet {
  readonly #bits: Uint8Array;
  readonly leafCount: number;
  #count = 0;

  constructor(leafCount: number) {
    this.leafCount = leafCount;
    this.#bits = new Uint8Array(Math.ceil(leafCount / 8));
  }

  get sizeBytes(): number {
    return this.#bits.length + NOTE_BYTES;
  }

  get isWhole(): boolean {
    return this.#count === this.leafCount;
  }

  has(leaf: number): boolean {
    return ((this.#bits[leaf >> 3] as number) & (1 << (leaf & 7))) !== 0;
  }

  add(leaf: number): void {
    if (this.has(leaf)) return;
    this.#bits[leaf >> 3] = (this.#bits[leaf >> 3] as number) | (1 << (leaf & 7));
    this.#count += 1;
  }
}

/** What each peer has shown that it has. Bounded: who is forgotten shows it again. */
export class SuppliedLeaves {
  readonly #sets = new LRUCache<string, SuppliedSet>({
    maxSize: SUPPLIED_NOTES_BYTES,
    sizeCalculation: (set) => set.sizeBytes,
  });

  of(peer: PeerKey, blob: BlobId, leafCount: number): SuppliedSet {
    const key = `${peer}/${blob}`;
    const known = this.#sets.get(key);
    if (known?.leafCount === leafCount) return known;
    const set = new SuppliedSet(leafCount);
    this.#sets.set(key, set);
    return set;
  }
}
