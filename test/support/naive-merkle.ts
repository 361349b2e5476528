/** The definitions of RFC 9162 section 2.1, word for word and slowly: what the trees of src/proofs are compared with. */
import { computeNodeHash } from '../../src/proofs/merkle.ts';

function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/** MTH of section 2.1.1, over leaf hashes. */
export function computeNaiveRoot(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  if (hashes.length === 1 && only !== undefined) return only;
  const split = splitOf(hashes.length);
  return computeNodeHash(computeNaiveRoot(hashes.slice(0, split)), computeNaiveRoot(hashes.slice(split)));
}

/** PATH of section 2.1.3.1. */
export function computeNaiveInclusionPath(index: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  if (hashes.length === 1) return [];
  const split = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return index < split
    ? [...computeNaiveInclusionPath(index, left), computeNaiveRoot(right)]
    : [...computeNaiveInclusionPath(index - split, right), computeNaiveRoot(left)];
}

/** PROOF of section 2.1.4.1. */
export function computeNaiveConsistencyPath(firstSize: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  return firstSize === hashes.length ? [] : computeSubproof({ firstSize, hashes, isWholeFirst: true });
}

function computeSubproof(part: {
  firstSize: number;
  hashes: readonly Uint8Array[];
  isWholeFirst: boolean;
}): Uint8Array[] {
  const { firstSize, hashes, isWholeFirst } = part;
  if (firstSize === hashes.length) return isWholeFirst ? [] : [computeNaiveRoot(hashes)];
  const split = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return firstSize <= split
    ? [...computeSubproof({ firstSize, hashes: left, isWholeFirst }), computeNaiveRoot(right)]
    : [
        ...computeSubproof({ firstSize: firstSize - split, hashes: right, isWholeFirst: false }),
        computeNaiveRoot(left),
      ];
}
