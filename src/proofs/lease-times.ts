/**
 * Design section 2: a lease is short and renewed by the provider's signed progress. What a receipt says of its times has to
 * fit that, up to the tolerated skew of two clocks. The requester asks it before it accepts a result, and whoever reads
 * the bundle asks it again: one rule for both.
 */

/** A lease as both sides signed it. */
export interface LeaseTimes {
  readonly issuedAtMs: number;
  readonly durationMs: number;
  readonly deadlineMs: number;
  /** Null where the acceptance is not known. */
  readonly acceptedAtMs: number | null;
  readonly lastProgress: { readonly atMs: number; readonly sequence: number } | null;
}

export type TimeRule = readonly [isKept: boolean, broken: string];

export function listRunRules(
  lease: LeaseTimes,
  run: { readonly startedAtMs: number; readonly finishedAtMs: number },
  skewMs: number,
): readonly TimeRule[] {
  return [
    [run.startedAtMs >= beginning(lease) - skewMs, 'it started before the lease was accepted'],
    [run.finishedAtMs >= run.startedAtMs, 'it finished before it started'],
    [run.finishedAtMs <= lease.deadlineMs + skewMs, "it finished after the lease's deadline"],
  ];
}

/** Within its first term a lease needs no renewal: without a progress only that can be judged. */
export function isWithinFirstTerm(lease: LeaseTimes, finishedAtMs: number, skewMs: number): boolean {
  return finishedAtMs <= beginning(lease) + lease.durationMs + skewMs;
}

/** The last progress shows that the lease stood when the run ended; nothing where there is no progress. */
export function listRenewalRules(lease: LeaseTimes, finishedAtMs: number, skewMs: number): readonly TimeRule[] {
  const { lastProgress, durationMs } = lease;
  if (lastProgress === null) return [];
  const termMs = durationMs + skewMs;
  const { atMs, sequence } = lastProgress;
  const leastRenewals = Math.floor((atMs - beginning(lease)) / termMs);
  return [
    [atMs <= finishedAtMs + skewMs, 'its progress was signed after it finished'],
    [finishedAtMs <= atMs + termMs, 'the lease had run out when it finished'],
    [sequence >= leastRenewals, `${sequence} renewals are too few for that long a run`],
  ];
}

function beginning({ acceptedAtMs, issuedAtMs }: LeaseTimes): number {
  return acceptedAtMs ?? issuedAtMs;
}
