import type { Lease } from '../../domain/lease.ts';
import type { Clock } from '../../lib/clock.ts';
import { TokenBucket } from '../../lib/token-bucket.ts';
import { STEP_BURST, STEPS_PER_RENEWAL } from '../constants.ts';

/** How many phases and how much progress of one attempt are taken. */
export function createStepBucket({ renewalMs }: Lease, clock: Clock): TokenBucket {
  const perSecond = (STEPS_PER_RENEWAL * 1_000) / renewalMs;
  return new TokenBucket({ perSecond, burst: STEP_BURST }, clock.monotonicMs());
}
