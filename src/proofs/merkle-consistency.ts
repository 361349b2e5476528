/** That a tree is the beginning of a larger one: RFC 9162 section 2.1.4. */
import { areBytesEqual } from '../lib/bytes.ts';
import { computeNodeHash, HASH_BYTES, type MerkleTree } from './merkle.ts';
import { EMPTY_ROOT } from './merkle-stream.ts';

export interface ConsistencyProof {
  readonly firstSize: bigint;
  readonly firstRoot: Uint8Array;
  readonly secondSize: bigint;
  readonly secondRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/**
 * Hashes that lead from the first `firstSize` leaves to the whole tree (section 2.1.4.1); none if they are all.
 * @throws RangeError unless `firstSize` is between 1 and the tree's size
 */
export function computeConsistencyPath(tree: MerkleTree, firstSize: number): Uint8Array[] {
  if (!Number.isInteger(firstSize) || firstSize < 1 || firstSize > tree.size) {
    throw new RangeError(`a tree of ${tree.size} leaves has no beginning of ${firstSize}`);
  }
  if (firstSize === tree.size) return [];
  // The largest complete subtree that ends with the last leaf of the first tree.
  let height = 0;
  let position = firstSize - 1;
  while (position % 2 === 1) {
    position = Math.floor(position / 2);
    height += 1;
  }
  const path = tree.computePathFrom(height, position);
  // At position 0 that subtree is the whole first tree, whose root the verifier has.
  return position === 0 ? path : [tree.nodeAt(height, position), ...path];
}

/**
 * Section 2.1.4.2. Refuses, and never throws on, hashes of a wrong length. Of an empty first tree there is nothing to
 * prove: it is refused unless both are empty.
 */
export function verifyConsistency(proof: ConsistencyProof): boolean {
  const { firstSize, firstRoot, secondSize, secondRoot, path } = proof;
  if (firstSize < 0n || firstSize > secondSize) return false;
  if (firstSize === secondSize) {
    const isEmptyAsItShould = firstSize !== 0n || areBytesEqual(firstRoot, EMPTY_ROOT);
    return path.length === 0 && isEmptyAsItShould && areBytesEqual(firstRoot, secondRoot);
  }
  if (firstSize === 0n || path.length === 0 || path.some((hash) => hash.length !== HASH_BYTES)) return false;
  const roots = climbBoth(proof);
  return roots !== undefined && areBytesEqual(roots.first, firstRoot) && areBytesEqual(roots.second, secondRoot);
}

function climbBoth(proof: ConsistencyProof): { readonly first: Uint8Array; readonly second: Uint8Array } | undefined {
  const [start, ...rest] = isPowerOfTwo(proof.firstSize) ? [proof.firstRoot, ...proof.path] : proof.path;
  if (start?.length !== HASH_BYTES) return undefined;
  let firstIndex = proof.firstSize - 1n;
  let secondIndex = proof.secondSize - 1n;
  while (firstIndex % 2n === 1n) {
    firstIndex >>= 1n;
    secondIndex >>= 1n;
  }
  let first = start;
  let second = start;
  for (const hash of rest) {
    if (secondIndex === 0n) return undefined;
    if (firstIndex % 2n === 1n || firstIndex === secondIndex) {
      first = computeNodeHash(hash, first);
      second = computeNodeHash(hash, second);
      while (firstIndex % 2n === 0n && firstIndex !== 0n) {
        firstIndex >>= 1n;
        secondIndex >>= 1n;
      }
    } else {
      second = computeNodeHash(second, hash);
    }
    firstIndex >>= 1n;
    secondIndex >>= 1n;
  }
  return secondIndex === 0n ? { first, second } : undefined;
}

function isPowerOfTwo(value: bigint): boolean {
  return (value & (value - 1n)) === 0n;
}
