import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockLedger, searchBlock } from '../../../src/chain/reader/block-search.ts';

interface Block {
  readonly slot: number;
  readonly timeS: number;
}

class Refused extends Error {}

function createLedger(blocks: readonly Block[]): BlockLedger & { readonly requests: { count: number } } {
  const requests = { count: 0 };
  return {
    requests,
    head: async () => blocks.at(-1)?.slot ?? 0,
    first: async () => blocks[0]?.slot ?? 0,
    slots: async (first, last) => {
      requests.count += 1;
      return blocks.map(({ slot }) => slot).filter((slot) => slot >= first && slot <= last);
    },
    block: async (slot) => {
      requests.count += 1;
      const block = blocks.find((candidate) => candidate.slot === slot);
      if (block === undefined) throw new Refused(`no block at ${slot}`);
      return { slot, blockHash: `hash of ${slot}`, timeMs: block.timeS * 1_000 };
    },
    refuse: (reason) => new Refused(reason),
    tooLate: (firstSlot) => new Refused(`from ${firstSlot}`),
  };
}

/** A chain from slot 0: gaps in slots and steps in time as they come. */
const chains = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 40 })), { maxLength: 150 })
  .map((steps) => {
    let slot = 0;
    let timeS = 1_000;
    const blocks: Block[] = [{ slot, timeS }];
    for (const [gap, seconds] of steps) {
      slot += gap;
      timeS += seconds;
      blocks.push({ slot, timeS });
    }
    return blocks;
  });

test('finds what looking at every block finds', async () => {
  await fc.assert(
    fc.asyncProperty(chains, fc.integer({ min: 0, max: 9_000_000 }), async (blocks, timeMs) => {
      const expected = blocks.find(({ timeS }) => timeS * 1_000 >= timeMs);
      const found = await searchBlock(createLedger(blocks), timeMs);
      expect(found?.slot).toBe(expected?.slot);
    }),
    { numRuns: 300 },
  );
});

test('an endpoint that answers at random ends in an error or an answer, never in a loop', async () => {
  const slots = fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 2_000 }),
      fc.infiniteStream(slots),
      fc.infiniteStream(fc.integer({ min: 0, max: 100 })),
      async (head, lists, times) => {
        const ledger: BlockLedger = {
          head: async () => head,
          first: async () => 0,
          slots: async () => lists.next().value ?? [],
          block: async (slot) => ({ slot, blockHash: 'x', timeMs: (times.next().value ?? 0) * 1_000 }),
          refuse: (reason) => new Refused(reason),
          tooLate: (firstSlot) => new Refused(`from ${firstSlot}`),
        };
        try {
          await searchBlock(ledger, 50_000);
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a long chain is searched in few steps', async () => {
  const blocks = Array.from({ length: 30_000 }, (_, slot) => ({ slot, timeS: Math.floor(slot * 0.4) }));
  const ledger = createLedger(blocks);
  expect((await searchBlock(ledger, 11_950_000))?.slot).toBe(29_875);
  expect(ledger.requests.count).toBeLessThan(25);
});
