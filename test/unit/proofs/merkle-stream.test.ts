import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { computeLeafHash } from '../../../src/proofs/merkle.ts';
import { EMPTY_ROOT, MerkleFrontier } from '../../../src/proofs/merkle-stream.ts';
import { computeNaiveRoot } from '../../support/naive-merkle.ts';

const hashes = Array.from({ length: 130 }, (_, index) => computeLeafHash(Uint8Array.of(index)));

describe('MerkleFrontier', () => {
  it('has the root that RFC 6962 defines after each leaf, in as many hashes as the size has bits', () => {
    const frontier = new MerkleFrontier();
    for (const [index, hash] of hashes.entries()) {
      frontier.append(hash);
      expect(frontier.size).toBe(index + 1);
      expect(frontier.root).toEqual(computeNaiveRoot(hashes.slice(0, index + 1)));
      expect(frontier.subtrees.length).toBe((index + 1).toString(2).replaceAll('0', '').length);
    }
  });

  it('has the root of an empty list while it is empty', () => {
    expect(encodeHex(new MerkleFrontier().root)).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(new MerkleFrontier().root).toEqual(EMPTY_ROOT);
  });

  it('goes on from what was kept of it', () => {
    fc.assert(
      fc.property(fc.nat({ max: 129 }), fc.nat({ max: 129 }), (a, b) => {
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        const frontier = new MerkleFrontier();
        for (const hash of hashes.slice(0, first)) frontier.append(hash);
        const restored = MerkleFrontier.restore(frontier.size, frontier.subtrees);
        for (const hash of hashes.slice(first, second + 1)) restored.append(hash);
        expect(restored.root).toEqual(computeNaiveRoot(hashes.slice(0, second + 1)));
      }),
    );
  });

  it('hands out copies', () => {
    const frontier = new MerkleFrontier();
    const [leaf = new Uint8Array()] = hashes;
    frontier.append(leaf);
    frontier.root.fill(0);
    expect(frontier.root).toEqual(leaf);
  });

  it('refuses what is no frontier', () => {
    const [a = new Uint8Array(), b = new Uint8Array()] = hashes;
    expect(() => MerkleFrontier.restore(3, [a])).toThrow(RangeError);
    expect(() => MerkleFrontier.restore(2, [a, b])).toThrow(RangeError);
    expect(() => MerkleFrontier.restore(1, [new Uint8Array(31)])).toThrow(RangeError);
    expect(() => MerkleFrontier.restore(-1, [])).toThrow(RangeError);
    expect(() => new MerkleFrontier().append(new Uint8Array(31))).toThrow(RangeError);
  });
});
