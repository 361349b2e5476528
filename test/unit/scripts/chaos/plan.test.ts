import { describe, expect, it } from 'vitest';
import { JOB_KINDS } from '../../../../scripts/chaos/jobs.ts';
import { createPlan, drawArms, FAULT_KINDS } from '../../../../scripts/chaos/plan.ts';
import { careFor } from '../../../../scripts/chaos/point-care.ts';

const OPTIONS = { profile: 'mixed' as const, jobKinds: 10 };

describe('createPlan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(createPlan({ ...OPTIONS, seed: 7 })).toEqual(createPlan({ ...OPTIONS, seed: 7 }));
    expect(createPlan({ ...OPTIONS, seed: 8 })).not.toEqual(createPlan({ ...OPTIONS, seed: 7 }));
  });

  it('comes to every fault and to every kind of job', () => {
    const plans = Array.from({ length: 100 }, (_, seed) => createPlan({ ...OPTIONS, seed }));
    const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
    const onlyForPoints = ['overtake', 'put back', 'tidy'];
    expect([...kinds, ...onlyForPoints].sort()).toEqual(Object.keys(FAULT_KINDS).sort());
    for (const { jobs } of plans) expect(new Set(jobs.slice(0, 10)).size).toBe(10);
  });

  it('kills and does nothing else in the profile of kills', () => {
    const { faults } = createPlan({ ...OPTIONS, profile: 'kills', seed: 3 });
    expect(faults.length).toBeGreaterThan(50);
    expect(faults.every(({ kind }) => kind.startsWith('kill'))).toBe(true);
  });

  it('freezes for 2 to 20 s at most', () => {
    const plans = Array.from({ length: 300 }, (_, seed) => createPlan({ ...OPTIONS, seed }));
    const freezes = plans.flatMap(({ faults }) => faults.filter(({ kind }) => kind === 'freeze'));
    expect(Math.max(...freezes.map(({ holdMs }) => holdMs))).toBeGreaterThan(15_000);
    expect(Math.max(...freezes.map(({ holdMs }) => holdMs))).toBeLessThanOrEqual(20_000);
    expect(Math.min(...freezes.map(({ holdMs }) => holdMs))).toBeGreaterThanOrEqual(2_000);
  });

  it('does the first of its faults where only a share is asked for', () => {
    const whole = createPlan({ ...OPTIONS, seed: 5 });
    const share = createPlan({ ...OPTIONS, seed: 5, mostFaults: 4, replicasLastMs: 1_000 });
    expect(share).toEqual({ ...whole, faults: whole.faults.slice(0, 4), replicasLastMs: 1_000 });
  });

  it('sets providers unrest, ages and takes the jobs that open points need, and nothing of it for others', () => {
    const options = { seed: 5, profile: 'points' as const, jobKinds: JOB_KINDS.length };
    const rare = createPlan({ ...options, care: careFor(['observations=delete', 'job-objects=late', 'blobs=delete']) });
    expect(rare.agesByMs).toBeGreaterThan(7 * 24 * 3_600_000);
    const targets = rare.faults.map(({ target }) => target);
    expect(Math.min(...targets)).toBe(rare.requesters);
    expect(Math.max(...targets)).toBe(rare.requesters + rare.providers - 1);
    const names = rare.jobs.map((index) => JOB_KINDS[index]?.name);
    expect(names.filter((name) => name === 'blob').length).toBeGreaterThan(64 / JOB_KINDS.length);
    expect(createPlan({ ...options, care: careFor(['jobs=new']) })).toMatchObject({ agesByMs: 0, faults: [] });
  });
});

describe('drawArms', () => {
  it('takes both sides of each point, in an order of its own for each seed', () => {
    const arms = drawArms(['a', 'b', 'c'], 1);
    expect(arms.map(({ point, side }) => `${point} ${side}`).sort()).toEqual([
      'a after',
      'a before',
      'b after',
      'b before',
      'c after',
      'c before',
    ]);
    expect(drawArms(['a', 'b', 'c'], 1)).toEqual(arms);
    expect(drawArms(['a', 'b', 'c'], 2)).not.toEqual(arms);
  });

  it('takes the first pass where a life may have no other', () => {
    const seeds = Array.from({ length: 30 }, (_, seed) => seed);
    const passes = (point: string): Set<number> =>
      new Set(seeds.flatMap((seed) => drawArms([point], seed).map(({ nth }) => nth)));
    expect(passes('meta')).toEqual(new Set([1]));
    expect(passes('jobs=new')).toEqual(new Set([1, 2, 3]));
  });
});
