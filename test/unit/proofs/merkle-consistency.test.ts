import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computeLeafHash, MerkleTree } from '../../../src/proofs/merkle.ts';
import { computeConsistencyPath, verifyConsistency } from '../../../src/proofs/merkle-consistency.ts';
import { EMPTY_ROOT } from '../../../src/proofs/merkle-stream.ts';
import { computeNaiveConsistencyPath, computeNaiveRoot } from '../../support/naive-merkle.ts';

const hashes = Array.from({ length: 70 }, (_, index) => computeLeafHash(Uint8Array.of(index)));
const sizes = fc
  .tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

function prove(firstSize: number, secondSize: number) {
  return {
    firstSize: BigInt(firstSize),
    firstRoot: computeNaiveRoot(hashes.slice(0, firstSize)),
    secondSize: BigInt(secondSize),
    secondRoot: computeNaiveRoot(hashes.slice(0, secondSize)),
    path: computeConsistencyPath(new MerkleTree(hashes.slice(0, secondSize)), firstSize),
  };
}

describe('a consistency proof', () => {
  it('is the one that RFC 9162 defines recursively, for all pairs of sizes', () => {
    for (let second = 1; second <= 33; second++) {
      for (let first = 1; first <= second; first++) {
        const proof = prove(first, second);
        expect(proof.path).toEqual(computeNaiveConsistencyPath(first, hashes.slice(0, second)));
        expect(verifyConsistency(proof)).toBe(true);
      }
    }
  });

  it('holds for nothing else', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.integer({ min: 1, max: 255 }), ([first, second], at, change) => {
        const proof = prove(first, second);
        const alter = (bytes: Uint8Array): Uint8Array =>
          bytes.map((byte, offset) => (offset === at % 32 ? byte ^ change : byte));
        expect(verifyConsistency(proof)).toBe(true);
        expect(verifyConsistency({ ...proof, firstRoot: alter(proof.firstRoot) })).toBe(false);
        expect(verifyConsistency({ ...proof, secondRoot: alter(proof.secondRoot) })).toBe(false);
        expect(verifyConsistency({ ...proof, path: [...proof.path, proof.firstRoot] })).toBe(false);
        expect(verifyConsistency({ ...proof, firstSize: 0n })).toBe(false);
        expect(verifyConsistency({ ...proof, firstSize: proof.secondSize + 1n })).toBe(false);
        expect(verifyConsistency({ ...proof, firstSize: -1n })).toBe(false);
        if (proof.path.length > 0) {
          const where = at % proof.path.length;
          const changed = proof.path.with(where, alter(proof.path[where] ?? new Uint8Array()));
          expect(verifyConsistency({ ...proof, path: changed })).toBe(false);
          expect(verifyConsistency({ ...proof, path: proof.path.slice(1) })).toBe(false);
          expect(verifyConsistency({ ...proof, path: proof.path.with(where, new Uint8Array(31)) })).toBe(false);
          expect(verifyConsistency({ ...proof, firstRoot: new Uint8Array(31) })).toBe(false);
        }
      }),
    );
  });

  it('of empty trees holds for the root of an empty list only', () => {
    const empty = { firstSize: 0n, secondSize: 0n, firstRoot: EMPTY_ROOT, secondRoot: EMPTY_ROOT, path: [] };
    expect(verifyConsistency(empty)).toBe(true);
    const other = new Uint8Array(32);
    expect(verifyConsistency({ ...empty, firstRoot: other, secondRoot: other })).toBe(false);
  });

  it('is not made for a beginning that is none', () => {
    const tree = new MerkleTree(hashes.slice(0, 5));
    for (const size of [0, 6, 1.5, Number.NaN]) expect(() => computeConsistencyPath(tree, size)).toThrow(RangeError);
  });
});
