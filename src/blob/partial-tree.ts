import { DIGEST_BYTES, parseBlobNode } from '../domain/blob-node.ts';
import {
  BLOB_FANOUT,
  BLOB_LEAF_BYTES,
  type BlobShape,
  describeShape,
  findChildren,
  hasNode,
  measureLeaf,
  rootPlace,
} from '../domain/blob-shape.ts';
import { isTreeId, readBlobDigest } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import { areBytesEqual } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';
import { describeError } from '../lib/errors.ts';
import type { NodePlace } from './interface.ts';

/** True if leaves of the blob can be checked one by one: it has a tree, or is one leaf. */
export function hasCheckedLeaves(blob: BlobId, sizeBytes: number): boolean {
  return isTreeId(blob) ? sizeBytes > BLOB_LEAF_BYTES : sizeBytes <= BLOB_LEAF_BYTES;
}

/** What is known of a blob's tree, from its id downwards: nothing is taken that does not hash to what stands above it. */
export class PartialTree {
  readonly shape: BlobShape;
  readonly #rootDigest: Uint8Array;
  /** By level and index: digests of what is under that node. */
  readonly #children: readonly Map<number, Uint8Array>[];

  constructor(blob: BlobId, sizeBytes: number) {
    this.shape = describeShape(sizeBytes);
    this.#rootDigest = readBlobDigest(blob);
    this.#children = this.shape.levels.map(() => new Map<number, Uint8Array>());
  }

  /** Nodes that are not here and whose own hash is known. */
  missing(): NodePlace[] {
    const root = rootPlace(this.shape);
    if (root === undefined) return [];
    if (!this.has(root)) return [root];
    const missing: NodePlace[] = [];
    for (const [above, known] of this.#children.entries()) {
      if (above === 0) continue;
      for (const index of known.keys()) {
        const { first, count } = findChildren(this.shape, { level: above, index });
        for (let child = first; child < first + count; child += 1) {
          if (this.#children[above - 1]?.has(child) !== true) missing.push({ level: above - 1, index: child });
        }
      }
    }
    return missing;
  }

  has(place: NodePlace): boolean {
    return this.#children[place.level]?.has(place.index) === true;
  }

  /** Null, or why the node was not taken. */
  add(place: NodePlace, bytes: Uint8Array): string | null {
    if (!hasNode(this.shape, place)) return 'the blob has no such node';
    const expected = this.#digestAt(place.level, place.index);
    if (expected === undefined) return 'the node above it is not here';
    if (!areBytesEqual(sha256(bytes), expected)) return 'a node has another hash';
    try {
      this.#children[place.level]?.set(place.index, parseBlobNode(bytes, place, this.shape));
    } catch (error) {
      return describeError(error);
    }
    return null;
  }

  /** Null, or why these are not the bytes of that leaf. */
  checkLeaf(leaf: number, bytes: Uint8Array): string | null {
    if (!Number.isInteger(leaf) || leaf < 0 || leaf >= this.shape.leafCount) return 'the blob has no such leaf';
    const expected = this.#digestAt(-1, leaf);
    if (expected === undefined) return 'the node above the leaf is not here';
    if (bytes.length !== measureLeaf(this.shape, leaf)) return `leaf ${leaf} has another size`;
    return areBytesEqual(sha256(bytes), expected) ? null : `leaf ${leaf} has another hash`;
  }

  /** Level -1 is that of the leaves. */
  #digestAt(level: number, index: number): Uint8Array | undefined {
    if (level === this.shape.levels.length - 1) return this.#rootDigest;
    const row = this.#children[level + 1]?.get(Math.floor(index / BLOB_FANOUT));
    const start = (index % BLOB_FANOUT) * DIGEST_BYTES;
    return row?.subarray(start, start + DIGEST_BYTES);
  }
}
