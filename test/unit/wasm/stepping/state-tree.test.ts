import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StateTree } from '../../../../src/wasm/stepping/state-tree.ts';
import { computeNaiveRoot } from '../../../support/naive-merkle.ts';

const leafHash = (value: number): Uint8Array => createHash('sha256').update(String(value)).digest();

describe('StateTree', () => {
  it('has the root of all its leaves however they change and become more', () => {
    const change = fc.record({
      growth: fc.nat({ max: 9 }),
      // Few values, so that equal nodes stand beside each other.
      values: fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 6 }),
      places: fc.array(fc.nat({ max: 60 }), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const tree = new StateTree();
        const leaves: Uint8Array[] = [];
        for (const { growth, values, places } of changes) {
          const before = leaves.length;
          const size = Math.max(1, before + growth);
          const changed = new Set(places.filter((place) => place < before));
          for (let index = before; index < size; index++) changed.add(index);
          tree.resize(size);
          [...changed]
            .toSorted((a, b) => a - b)
            .forEach((index, order) => {
              const hash = leafHash(values[order % values.length] ?? 0);
              leaves[index] = hash;
              tree.set(index, hash);
            });
          expect(Buffer.from(tree.computeRoot()).equals(computeNaiveRoot(leaves))).toBe(true);
        }
      }),
    );
  });
});
