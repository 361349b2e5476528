/**
 * Merkle trees of RFC 6962 section 2.1 (RFC 9162 section 2.1) with SHA-256:
 *   leaf hash = SHA-256(0x00 ‖ leaf), node hash = SHA-256(0x01 ‖ left ‖ right),
 *   the left subtree of n > 1 leaves holds the largest power of two smaller than n.
 */
import { areBytesEqual } from '../lib/bytes.ts';
import { sha256Into } from '../lib/cid.ts';

export const HASH_BYTES = 32;
const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;
/** 32-bit arithmetic holds up to here. */
const MAX_FAST_SIZE = 2 ** 31;

const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = NODE_PREFIX;

export function computeLeafHash(leaf: Uint8Array): Uint8Array {
  const hash = new Uint8Array(HASH_BYTES);
  writeLeafHash(hash, 0, leaf);
  return hash;
}

/** Writes the hash of `leaf` into `target` from `offset` on. */
export function writeLeafHash(target: Uint8Array, offset: number, leaf: Uint8Array): void {
  const input = new Uint8Array(1 + leaf.length);
  input[0] = LEAF_PREFIX;
  input.set(leaf, 1);
  sha256Into(target, offset, input);
}

/** @throws RangeError unless both hashes have 32 bytes */
export function computeNodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  const hash = new Uint8Array(HASH_BYTES);
  sha256Into(hash, 0, nodeInput);
  return hash;
}

/**
 * All levels of a tree, leaves first; an unpaired node is carried up unchanged, so that node i of level h covers the
 * leaves from i·2^h up to the next node or the end. The last level holds the root. A level is one flat array of hashes.
 */
export class MerkleTree {
  readonly size: number;
  readonly #levels: readonly Uint8Array[];

  /** @param leafHashes hashes made by `computeLeafHash`, at least one: each apart, or one after the other */
  constructor(leafHashes: readonly Uint8Array[] | Uint8Array) {
    const leaves = leafHashes instanceof Uint8Array ? leafHashes : joinHashes(leafHashes);
    if (leaves.length === 0) throw new RangeError('a Merkle tree needs at least one leaf');
    if (leaves.length % HASH_BYTES !== 0) throw new RangeError('a hash has 32 bytes');
    this.size = leaves.length / HASH_BYTES;
    const levels = [leaves];
    for (let level = leaves; level.length > HASH_BYTES; ) {
      level = pairUp(level);
      levels.push(level);
    }
    this.#levels = levels;
  }

  get root(): Uint8Array {
    return this.nodeAt(this.#levels.length - 1, 0);
  }

  /** Number of levels above the leaves. */
  get height(): number {
    return this.#levels.length - 1;
  }

  /** The root of the leaves from `index · 2^height` on, as many as 2^height or as are left. @throws RangeError */
  nodeAt(height: number, index: number): Uint8Array {
    const node = this.#nodeIfAny(height, index);
    if (node === undefined) throw new RangeError(`no node ${index} on level ${height}`);
    return node;
  }

  /** Inclusion path of leaf `index`: sibling hashes from the leaf up (RFC 9162 section 2.1.3). */
  computeInclusionPath(index: number): Uint8Array[] {
    if (!Number.isInteger(index) || index < 0 || index >= this.size) throw new RangeError(`no leaf ${index}`);
    return this.computePathFrom(0, index);
  }

  /** Siblings from node `index` of level `height` up to the root. */
  computePathFrom(height: number, index: number): Uint8Array[] {
    const path: Uint8Array[] = [];
    for (let level = height, position = index; level < this.height; level++) {
      const sibling = this.#nodeIfAny(level, position % 2 === 0 ? position + 1 : position - 1);
      if (sibling !== undefined) path.push(sibling);
      position = Math.floor(position / 2);
    }
    return path;
  }

  #nodeIfAny(height: number, index: number): Uint8Array | undefined {
    const level = this.#levels[height];
    const offset = index * HASH_BYTES;
    if (level === undefined || offset < 0 || offset >= level.length) return undefined;
    return level.slice(offset, offset + HASH_BYTES);
  }
}

function joinHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(hashes.length * HASH_BYTES);
  hashes.forEach((hash, index) => {
    if (hash.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
    joined.set(hash, index * HASH_BYTES);
  });
  return joined;
}

function pairUp(level: Uint8Array): Uint8Array {
  const count = level.length / HASH_BYTES;
  const above = new Uint8Array(Math.ceil(count / 2) * HASH_BYTES);
  const pairedBytes = level.length - (count % 2) * HASH_BYTES;
  let target = 0;
  for (let offset = 0; offset < pairedBytes; offset += 2 * HASH_BYTES) {
    for (let index = 0; index < 2 * HASH_BYTES; index++) nodeInput[1 + index] = level[offset + index] as number;
    sha256Into(above, target, nodeInput);
    target += HASH_BYTES;
  }
  if (pairedBytes < level.length) above.set(level.subarray(pairedBytes), target);
  return above;
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
  if (path.some((sibling) => sibling.length !== HASH_BYTES)) return false;
  const found = size <= MAX_FAST_SIZE ? climbFast(proof) : climb(proof);
  return found !== undefined && areBytesEqual(found, root);
}

/** The root that the path leads to; undefined if it is too long or too short for the place of the leaf. */
function climb({ leafHash, index, size, path }: InclusionProof): Uint8Array | undefined {
  let first = index;
  let last = size - 1n;
  let hash = leafHash;
  for (const sibling of path) {
    if (last === 0n) return undefined;
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
  return last === 0n ? hash : undefined;
}

/** `climb` without big integers, for a tree of at most 2^31 leaves. */
function climbFast({ leafHash, index, size, path }: InclusionProof): Uint8Array | undefined {
  let first = Number(index);
  let last = Number(size) - 1;
  let hash = leafHash;
  for (const sibling of path) {
    if (last === 0) return undefined;
    if ((first & 1) === 1 || first === last) {
      hash = computeNodeHash(sibling, hash);
      while ((first & 1) === 0 && first !== 0) {
        first >>>= 1;
        last >>>= 1;
      }
    } else {
      hash = computeNodeHash(hash, sibling);
    }
    first >>>= 1;
    last >>>= 1;
  }
  return last === 0 ? hash : undefined;
}
