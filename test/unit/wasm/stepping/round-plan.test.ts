import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LINKS } from '../../../../src/wasm/stepping/constants.ts';
import { RoundPlan } from '../../../../src/wasm/stepping/round-plan.ts';

describe('rounds that a checkpoint is made at', () => {
  it('are the first at or above each multiple above the one before', () => {
    const rounds = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 1 });
    fc.assert(
      fc.property(rounds, fc.integer({ min: 1, max: 20 }), (unordered, every) => {
        const ascending = unordered.toSorted((a, b) => a - b);
        const plan = new RoundPlan(every, 0);
        const made = ascending.filter((round) => plan.advance(round));
        const multiples = new Set(ascending.map((round) => Math.floor(round / every)).filter((count) => count > 0));
        expect(made).toEqual(
          [...multiples].map((count) => ascending.find((round) => Math.floor(round / every) === count)),
        );
      }),
    );
  });

  it('are the same where a program goes on from one of them', () => {
    const [whole, resumed] = [new RoundPlan(7, 0), new RoundPlan(7, 16)];
    const rounds = [3, 8, 16, 17, 20, 21, 22, 30];
    const made = rounds.filter((round) => whole.advance(round));
    expect(made).toEqual([8, 16, 21, 30]);
    expect(rounds.filter((round) => round > 16 && resumed.advance(round))).toEqual([21, 30]);
  });

  it('are no more once there are as many as a chain may have', () => {
    const plan = new RoundPlan(1, 0);
    let made = 1;
    for (let round = 1; round <= MAX_LINKS + 10; round++) made += plan.advance(round) ? 1 : 0;
    expect(made).toBe(MAX_LINKS);
  });
});
