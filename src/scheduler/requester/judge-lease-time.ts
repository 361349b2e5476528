import { OVERDUE_GRACE_MS } from '../constants.ts';
import type { Attempt } from '../job-machine-state.ts';

export interface LeaseTimes {
  readonly nowMs: number;
  readonly durationMs: number;
  readonly wallTimeMs: number;
  /** Until then its provider had no time to be heard again. */
  readonly patientUntilMs: number;
}

export type LeaseTimeVerdict =
  | { readonly kind: 'expired' }
  | { readonly kind: 'overdue' }
  /** To be looked at again. */
  | { readonly kind: 'live'; readonly delayMs: number };

/** What the time says of an attempt that runs: its lease has ended, or it is renewed beyond the time limit of the job. */
export function judgeLeaseTime(
  attempt: Pick<Attempt, 'leasedAtMs' | 'leaseEndsAtMs'>,
  times: LeaseTimes,
): LeaseTimeVerdict {
  const { nowMs, durationMs, wallTimeMs, patientUntilMs } = times;
  const overdueAtMs = attempt.leasedAtMs + wallTimeMs + OVERDUE_GRACE_MS + 2 * durationMs;
  const isPatient = nowMs < patientUntilMs;
  if (!isPatient && nowMs >= attempt.leaseEndsAtMs) return { kind: 'expired' };
  if (!isPatient && nowMs >= overdueAtMs) return { kind: 'overdue' };
  return { kind: 'live', delayMs: Math.max(patientUntilMs, Math.min(attempt.leaseEndsAtMs, overdueAtMs)) - nowMs };
}
