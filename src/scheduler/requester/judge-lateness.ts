import type { Lease, Progress } from '../../domain/lease.ts';
import { isWithinFirstTerm, listRenewalRules, listRunRules } from '../../proofs/lease-times.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';

/** What is known of a lease when something comes that was finished under it. */
export interface LeaseCourse {
  readonly lease: Lease;
  /** As the provider signed it; null where its acceptance is not known. */
  readonly acceptedAtMs: number | null;
  /** The last progress that it signed before it finished. */
  readonly progress: Progress | null;
}

/** When a run began and ended, by its provider's clock. */
export interface RunTimes {
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

export const FINISHED_AFTER_LEASE = 'FINISHED_AFTER_LEASE';

/**
 * The rule for what comes late (docs/scheduling.md, «Leases»), by the provider's own signed times, which no skew between
 * two clocks can bend: the lease runs for its duration from the acceptance, then from each signed progress; it was renewed
 * at least as often as so long a run takes; the work was done before it ran out, and before its deadline. Nothing in it
 * may lie in the future of this node's clock. What it lets through, the check of a bundle does too. Undefined: it was done
 * in time.
 */
export function findLateness(course: LeaseCourse, finishedAtMs: number, nowMs: number): string | undefined {
  const { lease, progress } = course;
  const beganAtMs = course.acceptedAtMs ?? lease.issuedAtMs;
  const renewedAtMs = progress?.atMs ?? beganAtMs;
  const rules: readonly (readonly [isKept: boolean, broken: string])[] = [
    [finishedAtMs <= nowMs + CLOCK_SKEW_MS, 'it was finished in the future'],
    [renewedAtMs <= nowMs + CLOCK_SKEW_MS, 'its last renewal is in the future'],
    [renewedAtMs >= beganAtMs, 'it was renewed before it began'],
    [renewedAtMs <= finishedAtMs + CLOCK_SKEW_MS, 'it was renewed after it finished'],
    [finishedAtMs <= lease.deadlineMs + CLOCK_SKEW_MS, 'it was finished after its deadline'],
    [finishedAtMs <= renewedAtMs + lease.durationMs, 'its lease had run out when it was finished'],
    [
      (progress?.sequence ?? 0) >= Math.floor((renewedAtMs - beganAtMs) / lease.durationMs),
      'it was renewed too seldom',
    ],
  ];
  return rules.find(([isKept]) => !isKept)?.[1];
}

/**
 * What came in time by this node's clock, and by the provider's own signed times was not done under its lease: its clock was
 * set meanwhile. Its bundle would be invalid for ever, so it is no result. Undefined: it fits.
 */
export function findContradiction(course: LeaseCourse, run: RunTimes): string | undefined {
  const { lease, acceptedAtMs, progress } = course;
  const times = { ...lease, acceptedAtMs, lastProgress: progress };
  const rules = [
    ...listRunRules(times, run, CLOCK_SKEW_MS),
    ...listRenewalRules(times, run.finishedAtMs, CLOCK_SKEW_MS),
    [
      progress !== null || isWithinFirstTerm(times, run.finishedAtMs, CLOCK_SKEW_MS),
      'its lease had run out when it was finished, and was never renewed',
    ],
  ] as const;
  return rules.find(([isKept]) => !isKept)?.[1];
}

/**
 * By this node's clock, when a renewal that was signed at `signedAtMs` ends. One that comes at once counts from now, so
 * that skew does not shorten a lease; one that lay somewhere meanwhile counts from when it was signed.
 */
export function computeRenewedEnd(lease: Lease, signedAtMs: number, nowMs: number): number {
  const fromMs = Math.min(nowMs, signedAtMs + CLOCK_SKEW_MS);
  return Math.min(fromMs + lease.durationMs, lease.deadlineMs);
}
