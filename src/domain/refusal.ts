import { z } from 'zod';

/** Why a provider does not offer, or does not take a lease. Printed by `job show --why` and `node why-no-work`. */
export const REFUSALS = {
  AT_CAPACITY: 'all of its slots are taken and its queue is full',
  DRAINING: 'it takes no new work: it stops, or its operator wants it to come to rest',
  PRICE_TOO_LOW: 'the price ceiling is below its standing price',
  ISOLATION_UNAVAILABLE: 'it cannot isolate jobs as strongly as the job demands',
  ISOLATION_POLICY: "its policy demands stronger isolation for strangers' jobs than it has",
  REQUESTER_NOT_ALLOWED: 'its policy does not allow this requester',
  KIND_NOT_ALLOWED: 'its policy does not allow this kind of job',
  IMAGE_NOT_ALLOWED: 'its policy does not allow what the job runs',
  NETWORK_NOT_ALLOWED: 'its policy is to work for other networks only',
  QUOTA_EXCEEDED: 'this requester has used up what its policy gives to one',
  QUIET_HOURS: 'its policy is to begin nothing new at this time of day',
  EXECUTOR_UNAVAILABLE: 'it has no executor for this kind of job',
  RESOURCES_TOO_LARGE: 'the job asks for more memory, time or output than it lends',
  GPU_UNAVAILABLE: 'it has no free GPU, or slice of one, of what the job asks for',
  DEADLINE_TOO_SOON: 'the deadline is over or too near',
  QUARANTINED: 'this job crashed its executor before and is quarantined there',
  OFFER_UNKNOWN: 'the offer has expired or was never made',
  LEASE_MISMATCH: 'the lease or the job does not match the offer',
  DUPLICATE_LEASE: 'the offer was already taken by another lease',
  RATE_LIMITED: 'the requester asks too often',
  OWN_JOB: 'it is the requester itself',
  NOT_PAUSABLE: 'the attempt makes no checkpoints, so there is nothing to go on from',
  SNAPSHOT_NOT_HELD: 'it does not hold that snapshot, or not for this job',
  NO_EVIDENCE: 'it runs in no environment of which it could show the evidence that the job asks for',
  EVIDENCE_FAILED: 'its hardware gave no evidence, or the vendor no collateral',
  RELEASE_INVALID: 'the release does not open, or is not for what was shown',
  HOLD_REFUSED: 'it holds no snapshots for this requester, or no more of them',
} as const satisfies Record<string, string>;

export type RefusalCode = keyof typeof REFUSALS;

export const refusalSchema = z.strictObject({
  code: z.enum(Object.keys(REFUSALS) as [RefusalCode, ...RefusalCode[]]),
  /** The figures behind it, such as what was asked and what there is. */
  detail: z.string().max(300),
  /** When it is worth asking again, ms from now. Absent: whoever asks decides. */
  retryAfterMs: z.int().min(1).max(3_600_000).optional(),
});
export type Refusal = z.output<typeof refusalSchema>;
