import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHex, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeLeafHash, computeNodeHash, MerkleTree, verifyInclusion } from '../../../src/proofs/merkle.ts';
import { computeNaiveInclusionPath, computeNaiveRoot } from '../../support/naive-merkle.ts';

const leaves = fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 40 });

describe('MerkleTree', () => {
  it('has the root that RFC 6962 defines recursively', () => {
    fc.assert(
      fc.property(leaves, (items) => {
        const hashes = items.map(computeLeafHash);
        expect(new MerkleTree(hashes).root).toEqual(computeNaiveRoot(hashes));
      }),
    );
  });

  it('has the published roots of the tree of eight leaves that implementations of RFC 6962 share', () => {
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
    const hashes = inputs.map((hex) => computeLeafHash(new Uint8Array(Buffer.from(hex, 'hex'))));
    expect(encodeHex(new MerkleTree(hashes.slice(0, 1)).root)).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
    expect(encodeHex(new MerkleTree(hashes).root)).toBe(
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    );
  });

  it('takes hashes that follow each other in one array', () => {
    const hashes = Array.from({ length: 11 }, (_, index) => computeLeafHash(Uint8Array.of(index)));
    const flat = new MerkleTree(new Uint8Array(Buffer.concat(hashes)));
    expect(flat.size).toBe(11);
    expect(flat.root).toEqual(new MerkleTree(hashes).root);
    expect(flat.computeInclusionPath(10)).toEqual(new MerkleTree(hashes).computeInclusionPath(10));
  });

  it('has the paths that RFC 9162 defines recursively', () => {
    fc.assert(
      fc.property(leaves, fc.nat(), (items, pick) => {
        const hashes = items.map(computeLeafHash);
        const index = pick % hashes.length;
        expect(new MerkleTree(hashes).computeInclusionPath(index)).toEqual(computeNaiveInclusionPath(index, hashes));
      }),
    );
  });

  it('proves each of its leaves, and nothing else', () => {
    fc.assert(
      fc.property(leaves, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (items, pick, at, change) => {
        const hashes = items.map(computeLeafHash);
        const tree = new MerkleTree(hashes);
        const index = pick % items.length;
        const leafHash = hashes[index] ?? new Uint8Array();
        const proof = {
          leafHash,
          index: BigInt(index),
          size: BigInt(items.length),
          path: tree.computeInclusionPath(index),
          root: tree.root,
        };
        expect(verifyInclusion(proof)).toBe(true);
        const alter = (bytes: Uint8Array): Uint8Array =>
          bytes.map((byte, offset) => (offset === at % bytes.length ? byte ^ change : byte));
        expect(verifyInclusion({ ...proof, leafHash: alter(leafHash) })).toBe(false);
        expect(verifyInclusion({ ...proof, root: alter(tree.root) })).toBe(false);
        expect(verifyInclusion({ ...proof, path: [...proof.path, tree.root] })).toBe(false);
        expect(verifyInclusion({ ...proof, index: -1n })).toBe(false);
        expect(verifyInclusion({ ...proof, index: proof.size })).toBe(false);
        if (proof.path.length > 0) {
          expect(verifyInclusion({ ...proof, path: proof.path.slice(1) })).toBe(false);
          expect(verifyInclusion({ ...proof, path: proof.path.map(alter) })).toBe(false);
        }
      }),
    );
  });

  it('judges a leaf of a huge tree by big integers as it judges one of a small tree by small ones', () => {
    const leafHash = computeLeafHash(encodeUtf8('the first'));
    const path = Array.from({ length: 41 }, (_, index) => computeLeafHash(Uint8Array.of(index)));
    for (const height of [30, 31, 32, 40]) {
      const root = path.slice(0, height).reduce(computeNodeHash, leafHash);
      const proof = { leafHash, index: 0n, size: 2n ** BigInt(height), path: path.slice(0, height), root };
      expect(verifyInclusion(proof)).toBe(true);
      expect(verifyInclusion({ ...proof, path: path.slice(0, height - 1) })).toBe(false);
      expect(verifyInclusion({ ...proof, path: path.slice(0, height + 1) })).toBe(false);
      expect(verifyInclusion({ ...proof, index: 1n })).toBe(false);
      expect(verifyInclusion({ ...proof, size: proof.size * 2n })).toBe(false);
      expect(verifyInclusion({ ...proof, index: proof.size - 1n })).toBe(false);
    }
  });

  it('refuses hashes of a wrong length, wherever they stand', () => {
    const hashes = ['a', 'b', 'c'].map((text) => computeLeafHash(encodeUtf8(text)));
    const tree = new MerkleTree(hashes);
    const [leafHash = new Uint8Array()] = hashes;
    const proof = { leafHash, index: 0n, size: 3n, path: tree.computeInclusionPath(0), root: tree.root };
    for (const wrong of [new Uint8Array(), new Uint8Array(31), new Uint8Array(33)]) {
      expect(verifyInclusion({ ...proof, leafHash: wrong })).toBe(false);
      expect(verifyInclusion({ ...proof, root: wrong })).toBe(false);
      for (const at of [0, 1]) expect(verifyInclusion({ ...proof, path: proof.path.with(at, wrong) })).toBe(false);
      expect(() => computeNodeHash(wrong, leafHash)).toThrow(RangeError);
      expect(() => computeNodeHash(leafHash, wrong)).toThrow(RangeError);
      expect(() => new MerkleTree([leafHash, wrong])).toThrow(RangeError);
    }
    expect(() => new MerkleTree(new Uint8Array(33))).toThrow(RangeError);
  });

  it('does not take an inner node for a leaf', () => {
    const hashes = ['a', 'b', 'c', 'd'].map((text) => computeLeafHash(encodeUtf8(text)));
    const [a = new Uint8Array(), b = new Uint8Array()] = hashes;
    const tree = new MerkleTree(hashes);
    const forged = new Uint8Array([...a, ...b]);
    const [, upper = new Uint8Array()] = tree.computeInclusionPath(0);
    const asLeaf = { index: 0n, size: 2n, path: [upper], root: tree.root };
    expect(verifyInclusion({ ...asLeaf, leafHash: computeNodeHash(a, b) })).toBe(true);
    expect(verifyInclusion({ ...asLeaf, leafHash: computeLeafHash(forged) })).toBe(false);
  });

  it('needs a leaf, and knows no others', () => {
    expect(() => new MerkleTree([])).toThrow(RangeError);
    const tree = new MerkleTree([computeLeafHash(encodeUtf8('a'))]);
    for (const index of [-1, 1, 0.5, Number.NaN]) expect(() => tree.computeInclusionPath(index)).toThrow(RangeError);
    expect(() => tree.nodeAt(1, 0)).toThrow(RangeError);
  });
});
