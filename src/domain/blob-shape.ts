/** What the size of a blob alone decides about its tree (docs/blobs.md section 1). */
import { DomainError } from './errors.ts';

/** Bytes of a leaf: the chunk size of the profile unixfs-v1-2025 (IPIP-499). */
export const BLOB_LEAF_BYTES = 1_048_576;
/** Most links of a node in that profile. */
export const BLOB_FANOUT = 1024;
/** Most bytes of a blob: three levels of nodes. */
export const MAX_BLOB_BYTES = 2 ** 50;
/** Most bytes of an encoded node: each of 1,024 links takes at most 50 bytes, and 8 of the list of sizes. */
export const MAX_BLOB_NODE_BYTES = 65_536;

/** Where a node stands: level 0 is that above the leaves, index counts from the left. */
export interface BlobNodePlace {
  readonly level: number;
  readonly index: number;
}

export interface BlobShape {
  readonly sizeBytes: number;
  readonly leafCount: number;
  /** Nodes of each level, the lowest first; the last one is the root alone. Empty for a blob of one leaf. */
  readonly levels: readonly number[];
}

/** @throws DomainError DOMAIN_BAD_OBJECT above MAX_BLOB_BYTES */
export function describeShape(sizeBytes: number): BlobShape {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > MAX_BLOB_BYTES) {
    const reason = `${sizeBytes} is not a size from 0 to ${MAX_BLOB_BYTES}`;
    throw new DomainError({ code: 'DOMAIN_BAD_OBJECT', type: 'blob', path: 'sizeBytes', reason });
  }
  const leafCount = Math.max(1, Math.ceil(sizeBytes / BLOB_LEAF_BYTES));
  const levels: number[] = [];
  for (let below = leafCount; below > 1; ) {
    below = Math.ceil(below / BLOB_FANOUT);
    levels.push(below);
  }
  return { sizeBytes, leafCount, levels };
}

/** Bytes of leaf `leaf`, which must be one of the blob's. */
export function measureLeaf(shape: BlobShape, leaf: number): number {
  return Math.min(BLOB_LEAF_BYTES, shape.sizeBytes - leaf * BLOB_LEAF_BYTES);
}

/** The highest node; undefined for a blob of one leaf. */
export function rootPlace(shape: BlobShape): BlobNodePlace | undefined {
  return shape.levels.length === 0 ? undefined : { level: shape.levels.length - 1, index: 0 };
}

export function hasNode(shape: BlobShape, place: BlobNodePlace): boolean {
  const count = shape.levels[place.level];
  return count !== undefined && Number.isInteger(place.index) && place.index >= 0 && place.index < count;
}

/** Nodes or leaves under a node of the blob: the index of the first one in its level, and how many. */
export function findChildren(
  shape: BlobShape,
  place: BlobNodePlace,
): { readonly first: number; readonly count: number } {
  const below = place.level === 0 ? shape.leafCount : (shape.levels[place.level - 1] ?? 0);
  const first = place.index * BLOB_FANOUT;
  return { first, count: Math.min(BLOB_FANOUT, below - first) };
}

/** Bytes of the blob under each link of a full node of this level. */
export function spanOf(level: number): number {
  return BLOB_LEAF_BYTES * BLOB_FANOUT ** level;
}
