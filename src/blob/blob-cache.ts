import { LRUCache } from 'lru-cache';
import type { BlobId } from '../domain/ids.ts';
import type { Clock } from '../lib/clock.ts';
import { IdleCache } from '../lib/idle-cache.ts';
import { HOT_MAX_BLOB_BYTES, OPENED_LEAVES, TREE_CACHE_BYTES } from './constants.ts';
import type { PartialTree } from './partial-tree.ts';

/** Bytes that an entry costs beside what it holds. */
const ENTRY_BYTES = 256;
const DIGEST_BYTES = 32;

/** What is kept in memory of blobs on disk, for readers: also of encrypted ones. */
export class BlobCache implements Disposable {
  readonly hot: IdleCache<BlobId, Uint8Array>;
  readonly trees: LRUCache<BlobId, PartialTree>;
  /** Leaves of encrypted blobs: they are read in smaller parts than they were sealed in. */
  readonly #leaves = new LRUCache<string, Uint8Array>({ max: OPENED_LEAVES });

  constructor(modules: { readonly clock: Clock }, options: { readonly hotBytes: number }) {
    this.hot = new IdleCache(modules, {
      maxBytes: options.hotBytes,
      maxEntryBytes: HOT_MAX_BLOB_BYTES,
      // An entry costs something even if the blob is empty.
      sizeOf: (bytes) => bytes.length + ENTRY_BYTES,
    });
    this.trees = new LRUCache({
      maxSize: TREE_CACHE_BYTES,
      sizeCalculation: ({ shape }) => shape.leafCount * DIGEST_BYTES + ENTRY_BYTES,
    });
  }

  getLeaf(blob: BlobId, leaf: number): Uint8Array | undefined {
    return this.#leaves.get(`${blob}/${leaf}`);
  }

  setLeaf(blob: BlobId, leaf: number, bytes: Uint8Array): void {
    this.#leaves.set(`${blob}/${leaf}`, bytes);
  }

  [Symbol.dispose](): void {
    this.hot[Symbol.dispose]();
  }

  forget(blob: BlobId): void {
    this.hot.delete(blob);
    this.trees.delete(blob);
    for (const key of this.#leaves.keys()) if (key.startsWith(blob)) this.#leaves.delete(key);
  }
}
