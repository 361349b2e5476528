import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Lease, Progress } from '../../../src/domain/lease.ts';
import { CLOCK_SKEW_MS } from '../../../src/scheduler/constants.ts';
import { computeRenewedEnd, findContradiction, findLateness } from '../../../src/scheduler/requester/judge-lateness.ts';

const TERM_MS = 120_000;
const BEGAN = 1_000_000_000;
const lease = { issuedAtMs: BEGAN - 50, durationMs: TERM_MS, deadlineMs: BEGAN + 100 * TERM_MS } as Lease;
const progressAt = (sequence: number, afterMs: number) => ({ sequence, atMs: BEGAN + afterMs }) as Progress;
const NOW = BEGAN + 1_000 * TERM_MS;

function judge(progress: Progress | null, finishedAfterMs: number, nowMs = NOW): string | undefined {
  return findLateness({ lease, acceptedAtMs: BEGAN, progress }, BEGAN + finishedAfterMs, nowMs);
}

describe('the rule for late results', () => {
  it.each<[string, Progress | null, number]>([
    ['within the first term', null, TERM_MS],
    ['within a term of the last renewal', progressAt(10, 9 * TERM_MS), 10 * TERM_MS],
    ['renewed more often than it had to be', progressAt(400, 9 * TERM_MS), 9 * TERM_MS + 1],
    ['at the deadline', progressAt(100, 100 * TERM_MS), 100 * TERM_MS],
  ])('lets through what was finished %s', (_, progress, finishedAfterMs) => {
    expect(judge(progress, finishedAfterMs)).toBeUndefined();
  });

  it.each<[string, Progress | null, number, RegExp, number?]>([
    ['after the first term, never renewed', null, TERM_MS + 1, /run out/],
    ['more than a term after the last renewal', progressAt(10, 9 * TERM_MS), 10 * TERM_MS + 1, /run out/],
    ['renewed too seldom for so long a run', progressAt(8, 9 * TERM_MS), 9 * TERM_MS, /too seldom/],
    ['after its deadline', progressAt(200, 101 * TERM_MS), 101 * TERM_MS + CLOCK_SKEW_MS, /after its deadline/],
    ['before its last renewal', progressAt(9, 9 * TERM_MS), 8 * TERM_MS, /renewed after it finished/],
    ['with a renewal from before the lease', progressAt(9, -1), 10, /before it began/],
    ['in the future', null, TERM_MS, /finished in the future/, BEGAN + TERM_MS - CLOCK_SKEW_MS - 1],
    [
      'with a renewal of the future',
      progressAt(9, 9 * TERM_MS),
      9 * TERM_MS - CLOCK_SKEW_MS,
      /renewal is in the future/,
      BEGAN + 9 * TERM_MS - CLOCK_SKEW_MS - 1,
    ],
  ])('refuses what was finished %s', (_, ...[progress, finishedAfterMs, reason, nowMs]) => {
    expect(judge(progress, finishedAfterMs, nowMs)).toMatch(reason);
  });

  it('counts from the issue where the acceptance is not known', () => {
    const course = { lease, acceptedAtMs: null, progress: null };
    expect(findLateness(course, lease.issuedAtMs + TERM_MS, NOW)).toBeUndefined();
    expect(findLateness(course, lease.issuedAtMs + TERM_MS + 1, NOW)).toMatch(/run out/);
  });

  it('lets every honest course through: renewed each time before the lease ends, then finished', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: TERM_MS }), { maxLength: 50 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: TERM_MS }), (renewals, lastMs) => {
        const renewedAfterMs = renewals.reduce((sum, gap) => sum + gap, 0);
        const progress = renewals.length === 0 ? null : progressAt(renewals.length, renewedAfterMs);
        expect(judge(progress, renewedAfterMs + lastMs)).toBeUndefined();
      }),
    );
  });
});

describe('the end of a lease that was renewed', () => {
  it.each([
    ['from now, where the progress came at once', 0, TERM_MS],
    ['from now, where the clocks are apart by what is tolerated', -CLOCK_SKEW_MS, TERM_MS],
    ['from when it was signed, where that was long ago', -10 * TERM_MS, CLOCK_SKEW_MS - 9 * TERM_MS],
    ['not later for a time that lies ahead', 10 * TERM_MS, TERM_MS],
  ])('counts %s', (_, signedAfterMs, endsAfterMs) => {
    const nowMs = BEGAN + 20 * TERM_MS;
    expect(computeRenewedEnd(lease, nowMs + signedAfterMs, nowMs) - nowMs).toBe(endsAfterMs);
  });

  it('is never after the deadline', () => {
    expect(computeRenewedEnd(lease, lease.deadlineMs - 1, lease.deadlineMs - 1)).toBe(lease.deadlineMs);
  });
});

describe('what came in time and contradicts its own lease', () => {
  const contradiction = (progress: Progress | null, startedAfterMs: number, finishedAfterMs: number) =>
    findContradiction(
      { lease, acceptedAtMs: BEGAN, progress },
      { startedAtMs: BEGAN + startedAfterMs, finishedAtMs: BEGAN + finishedAfterMs },
    );

  it.each<[string, Progress | null, number, number, RegExp]>([
    [
      'its clock was set forward before it finished',
      progressAt(2, 500),
      0,
      500 + TERM_MS + CLOCK_SKEW_MS + 1,
      /run out/,
    ],
    ['the same, and it was never renewed', null, 0, TERM_MS + CLOCK_SKEW_MS + 1, /never renewed/],
    ['its clock was set back before it started', null, -CLOCK_SKEW_MS - 1, 10, /before the lease was accepted/],
    [
      'its clock was set back while it ran',
      progressAt(2, 500),
      0,
      500 - CLOCK_SKEW_MS - 1,
      /finished before it started/,
    ],
    ['its clock was set back after a renewal', progressAt(9, 90_000), 0, 90_000 - CLOCK_SKEW_MS - 1, /signed after/],
    ['it was renewed too seldom', progressAt(1, 9 * TERM_MS), 0, 9 * TERM_MS, /too few/],
  ])('is no result: %s', (_, ...[progress, startedAfterMs, finishedAfterMs, reason]) => {
    expect(contradiction(progress, startedAfterMs, finishedAfterMs)).toMatch(reason);
  });

  it('lets through what two clocks that differ by the tolerated skew make of an honest run', () => {
    expect(contradiction(null, -CLOCK_SKEW_MS, TERM_MS + CLOCK_SKEW_MS)).toBeUndefined();
    expect(contradiction(progressAt(2, 500), 0, 500 + TERM_MS + CLOCK_SKEW_MS)).toBeUndefined();
  });
});
