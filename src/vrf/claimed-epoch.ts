/**
 * Which epochs a claim may be of (design section 5): a slot lasts two epochs, so the epoch of now and the last one; and,
 * since clocks may differ by the tolerated skew (section 12), the next one shortly before it begins. Its beacon cannot be
 * known before: such a claim is looked at once the epoch has begun by the clock of this machine.
 */

/** How far clocks may be apart, ms (design section 12). */
export const CLOCK_SKEW_MS = 30_000;
/** Networks for tests have epochs of seconds: the skew is at most this part of one. */
const LARGEST_SKEW_PART = 1 / 4;

/** What a beacon says of time; `Beacon` satisfies it. */
export interface EpochSchedule {
  roundAt(timeMs: number): number;
  startOfRound(round: number): number;
  epochOfRound(round: number): number;
  firstRoundOfEpoch(epoch: number): number;
}

export type ClaimedEpoch =
  | { readonly kind: 'this' }
  | { readonly kind: 'last' }
  /** Begins within the skew: wait that long, then look at the claim. */
  | { readonly kind: 'next'; readonly startsInMs: number }
  /** Over, too far ahead, or no epoch at all. */
  | { readonly kind: 'outside' };

export interface ClaimTime {
  readonly epoch: number;
  /** By the clock of this machine, Unix ms. */
  readonly nowMs: number;
  readonly schedule: EpochSchedule;
  readonly skewMs?: number;
}

/** Takes any number for `epoch`: it comes from a peer. */
export function classifyEpoch({ epoch, nowMs, schedule, skewMs = CLOCK_SKEW_MS }: ClaimTime): ClaimedEpoch {
  if (!Number.isSafeInteger(epoch) || epoch < 0) return { kind: 'outside' };
  const current = schedule.epochOfRound(schedule.roundAt(nowMs));
  if (epoch === current) return { kind: 'this' };
  if (epoch === current - 1) return { kind: 'last' };
  if (epoch !== current + 1) return { kind: 'outside' };
  const startOf = (each: number): number => schedule.startOfRound(schedule.firstRoundOfEpoch(each));
  const startsInMs = startOf(epoch) - nowMs;
  const largestMs = (startOf(epoch) - startOf(current)) * LARGEST_SKEW_PART;
  return startsInMs <= Math.min(skewMs, largestMs) ? { kind: 'next', startsInMs } : { kind: 'outside' };
}
