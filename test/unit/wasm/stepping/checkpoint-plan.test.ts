import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CHECKPOINTS } from '../../../../src/domain/checkpoint.ts';
import { CheckpointPlan, findThresholdFault } from '../../../../src/wasm/stepping/checkpoint-plan.ts';
import { MAX_LINKS } from '../../../../src/wasm/stepping/constants.ts';

describe('CheckpointPlan', () => {
  it('makes as many links as a chain holds, with room for the end, and moves its threshold on', () => {
    expect(MAX_LINKS).toBe(MAX_CHECKPOINTS);
    const plan = new CheckpointPlan({ kind: 'fuel', every: 10 });
    let made = 0;
    for (let step = 1; step <= MAX_LINKS + 10; step++) if (plan.advance(step, step * 10)) made++;
    // Index 0 is the start, and MAX_CHECKPOINTS is the last index, for the end.
    expect(made).toBe(MAX_CHECKPOINTS - 1);
    expect(plan.nextFuel).toBe((MAX_LINKS + 11) * 10);
  });

  it('gives thresholds that are whole multiples above what was used, which a state may have', () => {
    const every = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const steps = fc.array(fc.integer({ min: 0, max: 2 ** 51 }), { maxLength: 8 });
    fc.assert(
      fc.property(every, steps, (interval, costs) => {
        const schedule = { kind: 'fuel', every: interval } as const;
        const plan = new CheckpointPlan(schedule);
        let used = 0n;
        let threshold = BigInt(interval);
        costs.forEach((cost, index) => {
          used = used + BigInt(cost) > 2n ** 53n - 1n ? used : used + BigInt(cost);
          const isDue = used >= threshold;
          if (isDue) threshold = (used / BigInt(interval) + 1n) * BigInt(interval);
          expect(plan.advance(index + 1, Number(used))).toBe(isDue);
          const largest = BigInt(Number.MAX_SAFE_INTEGER);
          expect(BigInt(plan.nextFuel)).toBe(threshold < largest ? threshold : largest);
          expect(findThresholdFault(schedule, plan.nextFuel, Number(used))).toBeNull();
        });
      }),
    );
  });

  it('finds thresholds of another schedule', () => {
    const byFuel = { kind: 'fuel', every: 1000 } as const;
    expect(findThresholdFault(byFuel, 3000, 2500)).toBeNull();
    expect(findThresholdFault(byFuel, 1000, 2500)).toBeNull();
    for (const nextFuel of [0, 999, 2000, 2500, 4000])
      expect(findThresholdFault(byFuel, nextFuel, 2500)).not.toBeNull();
    expect(findThresholdFault({ kind: 'steps', every: 2 }, 0, 2500)).toBeNull();
    expect(findThresholdFault({ kind: 'steps', every: 2 }, 3000, 2500)).not.toBeNull();
  });
});
