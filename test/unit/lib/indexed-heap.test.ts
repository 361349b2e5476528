import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexedHeap } from '../../../src/lib/indexed-heap.ts';

interface Item {
  readonly name: number;
  rank: number;
}

const name = fc.nat({ max: 15 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), name, rank: fc.nat({ max: 50 }) }),
  fc.record({ kind: fc.constant('remove' as const), name, rank: fc.constant(0) }),
);

function isBefore(a: Item, b: Item): boolean {
  return a.rank === b.rank ? a.name < b.name : a.rank < b.rank;
}

describe('an indexed heap', () => {
  it('gives its items in order, whatever was put, moved and removed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const heap = new IndexedHeap<Item>(isBefore);
        const model = new Map<number, Item>();
        for (const { kind, name, rank } of steps) {
          const known = model.get(name);
          if (kind === 'remove') {
            expect(known !== undefined && heap.remove(known)).toBe(known !== undefined);
            model.delete(name);
          } else {
            const item = known ?? { name, rank };
            item.rank = rank;
            model.set(name, item);
            heap.add(item);
          }
          const expected = [...model.values()].sort((a, b) => (isBefore(a, b) ? -1 : 1));
          expect(heap.size).toBe(expected.length);
          expect(heap.peek()).toBe(expected[0]);
          expect([...heap.ascending()]).toEqual(expected);
        }
      }),
    );
  });
});
