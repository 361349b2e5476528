import { FileBlobStore } from '../../src/blob/file-blob-store.ts';
import type { BlobReception } from '../../src/blob/interface.ts';
import type { FileBlobStoreOptions } from '../../src/blob/options.ts';
import { BLOB_LEAF_BYTES, measureLeaf } from '../../src/domain/blob-shape.ts';
import { BlobHasher, type BlobTree } from '../../src/domain/blob-tree.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { Database } from '../../src/storage/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryBlobDisk } from './memory-blob-disk.ts';
import { MemoryDatabase } from './memory-database.ts';

export const STORE_KEY = new Uint8Array(32).fill(7);

/** A blob as its sender has it. */
export interface SentBlob {
  readonly bytes: Uint8Array;
  readonly tree: BlobTree;
  readonly blob: BlobId;
}

/** Bytes that look random and repeat nowhere. */
export function fillBytes(sizeBytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

export function createBlob(sizeBytes: number, seed: number): SentBlob {
  const bytes = fillBytes(sizeBytes, seed);
  const hasher = new BlobHasher();
  hasher.update(bytes);
  const tree = hasher.finish();
  return { bytes, tree, blob: tree.id };
}

export function leafOf({ bytes, tree }: SentBlob, leaf: number): Uint8Array {
  const start = leaf * BLOB_LEAF_BYTES;
  return bytes.subarray(start, start + measureLeaf(tree.shape, leaf));
}

/** Sends all nodes that are missing. */
export async function sendNodes(reception: BlobReception, { tree }: SentBlob): Promise<void> {
  for (let missing = reception.missingNodes(); missing.length > 0; missing = reception.missingNodes()) {
    for (const place of missing) await reception.addNode(place, tree.encodeNode(place) ?? new Uint8Array());
  }
}

/** Sends the leaves that are missing, and counts them. */
export async function sendRest(reception: BlobReception, sent: SentBlob): Promise<number> {
  await sendNodes(reception, sent);
  let count = 0;
  for (let leaf = 0; leaf < reception.leafCount; leaf += 1) {
    if (reception.hasLeaf(leaf)) continue;
    await reception.addLeaf(leaf, leafOf(sent, leaf));
    count += 1;
  }
  return count;
}

export interface BlobRig {
  readonly store: FileBlobStore;
  readonly disk: MemoryBlobDisk;
  readonly database: Database;
  readonly clock: ManualClock;
}

/** A store on a disk and a database in memory. */
export async function openBlobStore(
  modules: { readonly disk?: MemoryBlobDisk; readonly database?: Database; readonly clock?: Clock } = {},
  options: Partial<FileBlobStoreOptions> = {},
): Promise<BlobRig> {
  const disk = modules.disk ?? new MemoryBlobDisk();
  const database = modules.database ?? new MemoryDatabase();
  const clock = modules.clock instanceof ManualClock ? modules.clock : new ManualClock();
  const common = { logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const store = new FileBlobStore(
    { ...common, disk, database, clock },
    { directory: '/blobs', maxBytes: 64 * BLOB_LEAF_BYTES, storeKey: STORE_KEY, ...options },
  );
  await store.start();
  await store.whenReconciled();
  return { store, disk, database, clock };
}
