/**
 * Merkle trees of RFC 6962 section 2.1 (RFC 9162 section 2.1) with SHA-256:
 *   leaf hash = SHA-256(0x00 ‖ leaf), node hash = SHA-256(0x01 ‖ left ‖ right),
 *   the left subtree of n > 1 leaves holds the largest power of two smaller than n.
 */
import { areBytesEqual } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';

const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);
const HASH_BYTES = 32;

export function computeLeafHash(leaf: Uint8Array): Uint8Array {
  return sha256(LEAF_PREFIX, leaf);
}

export function computeNodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE_PREFIX, left, right);
}

/** All levels of a tree, leaves first; an unpaired node is carried up unchanged. The last level holds the root. */
export class MerkleTree {
  readonly size: number;
  readonly #levels: readonly (readonly Uint8Array[])[];

  /** @param leafHashes hashes made by `computeLeafHash`, at least one */
  constructor(leafHashes: readonly Uint8Array[]) {
    if (leafHashes.length === 0) throw new RangeError('a Merkle tree needs at least one leaf');
    this.size = leafHashes.length;
    const levels: (readonly Uint8Array[])[] = [leafHashes];
    for (let level = leafHashes; level.length > 1; ) {
      level = pairUp(level);
      levels.push(level);
    }
    this.#levels = levels;
  }

  get root(): Uint8Array {
    return hashAt(this.#levels, this.#levels.length - 1, 0);
  }

  /** Inclusion path of leaf `index`: sibling hashes from the leaf up (RFC 9162 section 2.1.3). */
  computeInclusionPath(index: number): Uint8Array[] {
    if (!Number.isInteger(index) || index < 0 || index >= this.size) throw new RangeError(`no leaf ${index}`);
    const path: Uint8Array[] = [];
    let position = index;
    for (const level of this.#levels) {
      const sibling = level[position ^ 1];
      if (sibling !== undefined && level.length > 1) path.push(sibling);
      position = Math.floor(position / 2);
    }
    return path;
  }
}

function pairUp(level: readonly Uint8Array[]): Uint8Array[] {
  const above: Uint8Array[] = [];
  for (let index = 0; index < level.length; index += 2) {
    const left = level[index];
    const right = level[index + 1];
    if (left === undefined) break;
    above.push(right === undefined ? left : computeNodeHash(left, right));
  }
  return above;
}

function hashAt(levels: readonly (readonly Uint8Array[])[], level: number, index: number): Uint8Array {
  const hash = levels[level]?.[index];
  if (hash === undefined) throw new RangeError(`no node ${index} on level ${level}`);
  return hash;
}

export interface InclusionProof {
  readonly leafHash: Uint8Array;
  readonly index: bigint;
  readonly size: bigint;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** RFC 9162 section 2.1.3.2. Refuses, and never throws on, hashes of a wrong length. */
export function verifyInclusion(proof: InclusionProof): boolean {
  const { leafHash, index, size, path, root } = proof;
  if (index < 0n || index >= size || root.length !== HASH_BYTES || leafHash.length !== HASH_BYTES) return false;
  let first = index;
  let last = size - 1n;
  let hash = leafHash;
  for (const sibling of path) {
    if (sibling.length !== HASH_BYTES || last === 0n) return false;
    if (first % 2n === 1n || first === last) {
      hash = computeNodeHash(sibling, hash);
      while (first % 2n === 0n && first !== 0n) {
        first >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = computeNodeHash(hash, sibling);
    }
    first >>= 1n;
    last >>= 1n;
  }
  return last === 0n && areBytesEqual(hash, root);
}
