import type { BlobId } from '../domain/ids.ts';

export type BlobPlace = 'database' | 'file';

export interface BlobEntry {
  readonly sizeBytes: number;
  readonly place: BlobPlace;
  readonly lastUseMs: number;
}

export interface BlobIndexOptions {
  readonly maxBytes: number;
  readonly maxBlobs: number;
}

/**
 * What is stored, least recently used first, with pins and with room promised to blobs on their way in. In memory; the
 * caller does the writing.
 */
export class BlobIndex {
  readonly #options: BlobIndexOptions;
  /** In order of last use: a touched entry is taken out and put in again. */
  readonly #entries = new Map<BlobId, BlobEntry>();
  readonly #pins = new Map<BlobId, number>();
  #storedBytes = 0;
  #reservedBytes = 0;
  #reservedBlobs = 0;

  constructor(options: BlobIndexOptions) {
    this.#options = options;
  }

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
    this.#storedBytes += entry.sizeBytes;
  }

  remove(blob: BlobId): void {
    const entry = this.#entries.get(blob);
    if (entry === undefined) return;
    this.#entries.delete(blob);
    this.#storedBytes -= entry.sizeBytes;
  }

  /** False if it is not here. */
  touch(blob: BlobId, nowMs: number): boolean {
    const entry = this.#entries.get(blob);
    if (entry === undefined) return false;
    this.#entries.delete(blob);
    this.#entries.set(blob, { ...entry, lastUseMs: nowMs });
    return true;
  }

  pin(blob: BlobId): void {
    this.#pins.set(blob, (this.#pins.get(blob) ?? 0) + 1);
  }

  unpin(blob: BlobId): void {
    const count = this.#pins.get(blob) ?? 0;
    if (count > 1) this.#pins.set(blob, count - 1);
    else this.#pins.delete(blob);
  }

  /**
   * Promises room for one blob and gives those that must go for it; undefined, and nothing promised, if pins and earlier
   * promises leave no room.
   */
  reserve(sizeBytes: number): BlobId[] | undefined {
    const { maxBytes, maxBlobs } = this.#options;
    let bytes = this.#storedBytes + this.#reservedBytes + sizeBytes - maxBytes;
    let blobs = this.#entries.size + this.#reservedBlobs + 1 - maxBlobs;
    const victims: BlobId[] = [];
    for (const [blob, entry] of this.#entries) {
      if (bytes <= 0 && blobs <= 0) break;
      if (this.#pins.has(blob)) continue;
      victims.push(blob);
      bytes -= entry.sizeBytes;
      blobs -= 1;
    }
    if (bytes > 0 || blobs > 0) return undefined;
    this.#reservedBytes += sizeBytes;
    this.#reservedBlobs += 1;
    return victims;
  }

  /** Ends a promise: the blob has been added, or will not be. */
  release(sizeBytes: number): void {
    this.#reservedBytes -= sizeBytes;
    this.#reservedBlobs -= 1;
  }
}
