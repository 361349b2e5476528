import { NOTHING_OBSERVED, type ObservedOutcome } from '../domain/observation.ts';
import type { AttemptView, JobView } from './interface.ts';

/** How an attempt ended, where the view does not say it. */
export interface AttemptEnd {
  /** The provider countersigned the lease. */
  readonly isAccepted: boolean;
  /** It was the provider's fault. */
  readonly isCounted: boolean;
}

/** What the requester saw of the provider of an attempt; null where that is nothing: it was refused, cancelled or paused. */
export function observeProvider(job: JobView, attempt: AttemptView, end: AttemptEnd): ObservedOutcome | null {
  switch (attempt.state) {
    case 'revealed':
      return {
        completion: 'success',
        correctness: observeCorrectness(job, attempt),
        timeliness: 'success',
        availability: 'success',
      };
    case 'lost':
      if (!end.isAccepted) return null;
      return { ...NOTHING_OBSERVED, completion: 'failure', timeliness: 'failure', availability: 'failure' };
    case 'failed':
      // Evidence that one policy does not accept may be good for another: it says nothing to others.
      if (attempt.reason?.startsWith('EVIDENCE_REFUSED') === true) return null;
      return end.isAccepted && end.isCounted ? { ...NOTHING_OBSERVED, completion: 'failure' } : null;
    case 'leased':
    case 'queued':
    case 'running':
    case 'unreachable':
    case 'committed':
    case 'cancelled':
    case 'paused':
      return null;
    default:
      return attempt.state satisfies never;
  }
}

/** A result that nobody else gave is neither right nor wrong. */
function observeCorrectness({ result, quorum }: JobView, { lease }: AttemptView): ObservedOutcome['correctness'] {
  if (result === null || quorum < 2) return 'none';
  if (result.agreeing.includes(lease)) return 'success';
  return result.dissenting.includes(lease) ? 'failure' : 'none';
}

/** What a provider saw of the requester of an attempt that gave a result: that its lease was for work that was done. */
export const SERVED_OUTCOME: ObservedOutcome = { ...NOTHING_OBSERVED, completion: 'success' };

/** Before the store is asked what became of it: whether an attempt may be worth an observation, and of which kind. */
export function guessObservation(job: JobView, attempt: AttemptView): 'success' | 'failure' | null {
  const outcome = observeProvider(job, attempt, { isAccepted: true, isCounted: true });
  if (outcome === null) return null;
  return Object.values(outcome).includes('failure') ? 'failure' : 'success';
}
