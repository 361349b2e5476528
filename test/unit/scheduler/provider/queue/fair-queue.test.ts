import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PRIORITIES, type Priority } from '../../../../../src/domain/job.ts';
import { PATIENCE_MS, PRIORITY_WEIGHTS } from '../../../../../src/scheduler/provider/queue/urgency.ts';
import {
  describeWork,
  QueueSimulation,
  type SimulatedWork,
  sumService,
  waitOf,
} from '../../../../support/queue-simulation.ts';

const costs = fc.integer({ min: 1, max: 50 });
const works: fc.Arbitrary<SimulatedWork> = fc
  .record({
    owner: fc.constantFrom('a', 'b', 'c', 'd'),
    priority: fc.constantFrom(...PRIORITIES),
    sinceMs: fc.integer({ min: 0, max: 500 }),
    costsMs: fc.array(costs, { minLength: 1, maxLength: 20 }),
    expectedMs: costs,
  })
  .map((fields) => ({ ...fields, form: fields.costsMs.length > 1 ? 'batch' : 'single' }));

describe('the queue', () => {
  it('starts everything once and in the order in which it came, and leaves no slot idle while anything waits', () => {
    fc.assert(
      fc.property(fc.array(works, { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (all, slots) => {
        const { starts, idleMs } = new QueueSimulation(all, { slots }).run();
        expect(idleMs).toBe(0);
        for (const work of all) {
          const own = starts.filter((start) => start.work === work);
          expect(own.map(({ atMs, endMs }) => endMs - atMs)).toEqual(work.costsMs);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives requesters that all want more the same slot time, whatever their jobs take and are expected to', () => {
    const demand = fc.record({
      costMs: fc.integer({ min: 5, max: 200 }),
      expectedMs: fc.integer({ min: 1, max: 200 }),
    });
    fc.assert(
      fc.property(
        fc.array(demand, { minLength: 2, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        (demands, slots) => {
          const untilMs = 6_000;
          const all = demands.map(({ costMs, expectedMs }, index) =>
            describeWork({ owner: `${index}`, jobs: (untilMs * slots) / costMs + slots, costMs, expectedMs }),
          );
          const { starts } = new QueueSimulation(all, { slots, untilMs }).run();
          const served = [...sumService(starts, { fromMs: 0, toMs: untilMs }).values()];
          // Each may be one job in each slot ahead or behind, by what it costs and by what it was expected to.
          const slackMs = 2 * slots * Math.max(...demands.flatMap(({ costMs, expectedMs }) => [costMs, expectedMs]));
          expect(served).toHaveLength(demands.length);
          expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(slackMs);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('does not hold up one job of another behind 4,000 of one requester', () => {
    const flood = describeWork({ owner: 'flood', jobs: 4_000, costMs: 10 });
    const one = describeWork({ owner: 'one', sinceMs: 5_003 });
    const { starts } = new QueueSimulation([flood, one], { slots: 2 }).run();
    expect(waitOf(starts, one)).toBeLessThanOrEqual(2 * 10);
  });

  it('does not hold it up either where jobs take far less than was expected', () => {
    const flood = describeWork({ owner: 'flood', jobs: 4_000, costMs: 10, expectedMs: 60_000 });
    const one = describeWork({ owner: 'one', sinceMs: 5_003, expectedMs: 60_000 });
    const { starts } = new QueueSimulation([flood, one], { slots: 2 }).run();
    expect(waitOf(starts, one)).toBeLessThanOrEqual(2 * 10);
  });

  it('does not hold up a requester’s own single job behind its batch', () => {
    const batch = describeWork({ jobs: 4_000, costMs: 10 });
    const one = describeWork({ sinceMs: 5_003 });
    const { starts } = new QueueSimulation([batch, one], { slots: 2 }).run();
    expect(waitOf(starts, one)).toBeLessThanOrEqual(2 * 10);
  });

  it('does not let who was alone for long pay for it, nor who was away collect', () => {
    const alone = describeWork({ owner: 'alone', jobs: 3_000, costMs: 10 });
    const late = describeWork({ owner: 'late', jobs: 3_000, costMs: 10, sinceMs: 10_000 });
    const { starts } = new QueueSimulation([alone, late], { slots: 1, untilMs: 20_000 }).run();
    const served = sumService(starts, { fromMs: 10_000, toMs: 20_000 });
    expect(Math.abs((served.get('alone') ?? 0) - (served.get('late') ?? 0))).toBeLessThanOrEqual(40);
  });

  it('gives a newcomer its turn though the others were charged long jobs beforehand', () => {
    const long = describeWork({ owner: 'long', jobs: 20, costMs: 60_000 });
    const short = describeWork({ owner: 'short', jobs: 20_000, costMs: 10 });
    const newcomer = describeWork({ owner: 'newcomer', sinceMs: 10_003 });
    const { starts } = new QueueSimulation([long, short, newcomer], { slots: 2, untilMs: 60_000 }).run();
    expect(waitOf(starts, newcomer)).toBeLessThanOrEqual(100);
  });
});

describe('priority', () => {
  const flood = (owner: string, priority: Priority) => describeWork({ owner, priority, jobs: 3_000, costMs: 20 });

  it('lets the more urgent go first where requesters have used the same', () => {
    for (const [lower, higher] of [
      ['low', 'normal'],
      ['normal', 'high'],
      ['high', 'critical'],
    ] as const) {
      const busy = describeWork({ owner: 'busy', costMs: 100 });
      const less = describeWork({ owner: 'less', priority: lower, sinceMs: 1 });
      const more = describeWork({ owner: 'more', priority: higher, sinceMs: 2 });
      const { starts } = new QueueSimulation([busy, less, more], { slots: 1 }).run();
      expect(starts.map(({ work }) => work.owner)).toEqual(['busy', 'more', 'less']);
    }
  });

  it('gives shares by weight in the long run', () => {
    const all = [flood('low', 'low'), flood('high', 'high')];
    const { starts } = new QueueSimulation(all, { slots: 1, untilMs: 60_000 }).run();
    const late = sumService(starts, { fromMs: 15_000, toMs: 60_000 });
    const ratio = (late.get('high') ?? 0) / (late.get('low') ?? 1);
    expect(ratio).toBeGreaterThan(0.9 * (PRIORITY_WEIGHTS.high / PRIORITY_WEIGHTS.low));
    expect(ratio).toBeLessThan(1.1 * (PRIORITY_WEIGHTS.high / PRIORITY_WEIGHTS.low));
  });

  it('orders the jobs of one requester by weight too', () => {
    const all = [flood('a', 'low'), flood('a', 'critical')];
    const { starts } = new QueueSimulation(all, { slots: 1, untilMs: 10_000 }).run();
    const early = starts.filter(({ atMs }) => atMs < 5_000);
    const urgent = early.filter(({ work }) => work.priority === 'critical').length;
    expect(urgent / early.length).toBeGreaterThan(0.85);
  });

  it.each([false, true])(
    'starves nothing, however many urgent ones keep coming (each of another requester: %s)',
    (isNew) => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 150, max: 400 }), (slots, costMs) => {
          // A tenth more than the slots can do.
          const everyMs = costMs / slots / 1.1;
          const urgent = Array.from({ length: Math.ceil(75_000 / everyMs) }, (_, index) =>
            describeWork({ owner: isNew ? `${index}` : 'one', priority: 'critical', sinceMs: index * everyMs, costMs }),
          );
          const low = describeWork({ owner: 'patient', priority: 'low', costMs, sinceMs: 100 });
          const { starts } = new QueueSimulation([...urgent, low], { slots, untilMs: 74_000 }).run();
          expect(waitOf(starts, low)).toBeLessThanOrEqual(PATIENCE_MS.low + 250 + 2 * costMs);
        }),
        { numRuns: 4 },
      );
    },
  );
});
