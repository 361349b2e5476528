import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LeafClaim, LeafPlan } from '../../../../src/scheduler/transfer/leaf-plan.ts';

const everything = (): boolean => true;
const nobody = (): boolean => false;

describe('a plan of leaves', () => {
  it('gives open leaves in order, to nobody twice', () => {
    const plan = new LeafPlan<string>(10, (leaf) => leaf === 1);
    const first = plan.claim({ owner: 'a', maxLeaves: 4, has: everything });
    const second = plan.claim({ owner: 'b', maxLeaves: 4, has: everything });
    expect([first, second]).toMatchObject([
      { next: 0, end: 1 },
      { next: 2, end: 6 },
    ]);
    expect(plan.openLeaves).toBe(4);
  });

  it('gives at most half of what another is late with, from its end, and to no third', () => {
    const plan = new LeafPlan<string>(8, () => false);
    const slow = plan.claim({ owner: 'slow', maxLeaves: 8, has: everything }) as LeafClaim<string>;
    const shared = plan.share(slow, { owner: 'fast', maxLeaves: 16, has: everything, isLate: nobody });
    expect(shared).toMatchObject({ next: 4, end: 8 });
    const third = { owner: 'third', maxLeaves: 16, has: everything, isLate: nobody };
    expect(plan.share(slow, third)).toMatchObject({ next: 2, end: 4 });
    if (shared !== undefined) for (let leaf = 4; leaf < 8; leaf++) plan.finish(shared);
    for (let leaf = 0; leaf < 4; leaf++) expect(plan.finish(slow)).toBe(true);
    expect(plan.isUseless(slow)).toBe(true);
    expect(plan.isDone).toBe(true);
  });

  it('gives what only late ones are asked for to one that is not', () => {
    const plan = new LeafPlan<string>(1, () => false);
    const first = plan.claim({ owner: 'late', maxLeaves: 1, has: everything }) as LeafClaim<string>;
    const request = { maxLeaves: 1, has: everything, isLate: (owner: string) => owner.startsWith('late') };
    expect(plan.share(first, { ...request, owner: 'late too' })).toBeDefined();
    expect(plan.share(first, { ...request, owner: 'late too' })).toBeUndefined();
    expect(plan.share(first, { ...request, owner: 'good' })).toMatchObject({ next: 0, end: 1 });
    expect(plan.share(first, { ...request, owner: 'good too' })).toBeUndefined();
    expect(plan.finish(first)).toBe(true);
    expect([plan.isDone, plan.openLeaves]).toEqual([true, 0]);
  });

  it('is done after every leaf came once, whatever was claimed, shared, given back and asked again', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.tuple(fc.nat(3), fc.nat(4), fc.nat(7)), { maxLength: 200 }),
        (leafCount, steps) => {
          const plan = new LeafPlan<number>(leafCount, (leaf) => leaf % 7 === 3);
          let here = [...Array(leafCount).keys()].filter((leaf) => leaf % 7 === 3).length;
          const claims: LeafClaim<number>[] = [];
          const isLate = (owner: number): boolean => owner % 2 === 0;
          for (const [kind, owner, choice] of steps) {
            const claim = claims[choice % Math.max(1, claims.length)];
            const request = { owner, maxLeaves: 1 + choice, has: (leaf: number) => (leaf + owner) % 3 !== 0, isLate };
            if (kind === 0) claims.push(...[plan.claim(request)].filter((made) => made !== undefined));
            else if (claim === undefined) continue;
            else if (kind === 1) claims.push(...[plan.share(claim, request)].filter((made) => made !== undefined));
            else if (kind === 2) plan.release(claim);
            else if (claim.next < claim.end && plan.finish(claim)) here += 1;
            expect(plan.doneLeaves).toBe(here);
            expect(plan.openLeaves).toBeGreaterThanOrEqual(0);
          }
          for (const claim of claims) plan.release(claim);
          expect(plan.openLeaves).toBe(leafCount - here);
          for (;;) {
            const claim = plan.claim({ owner: 9, maxLeaves: 16, has: everything });
            if (claim === undefined) break;
            while (claim.next < claim.end) plan.finish(claim);
          }
          expect(plan.isDone).toBe(true);
        },
      ),
    );
  });
});
