/** Whether a job ended as it has to, given how it ends undisturbed. */
import { compareOutcomes, type Outcome } from '../crash-stepping/outcome.ts';
import type { EndedJob } from './client.ts';
import type { JobKind } from './jobs.ts';

export type Judgement =
  | { readonly kind: 'right' }
  /** Right, but for logs and metrics that went with a provider. */
  | { readonly kind: 'short' }
  /** Faults took what it needed; the daemon says so. */
  | { readonly kind: 'excused'; readonly reason: string }
  | { readonly kind: 'wrong'; readonly problems: readonly string[] };

/**
 * With several replicas fewer than the quorum may be left when providers die between commitment and reveal, since a
 * replacement counts only if it committed before the first reveal (design section 7); or fewer providers may be left
 * that have not failed this job yet, and it expires.
 */
const EXCUSES_OF_REPLICAS: ReadonlySet<string> = new Set(['SCHEDULER_QUORUM_LOST', 'SCHEDULER_RETRIES_EXHAUSTED']);

/**
 * @param hasLostProvider a provider of the job died: what it had not handed out yet of logs and metrics went with it, and
 * a result of its that is kept does not bring them back (docs/durability.md)
 */
export function judgeJob(
  kind: JobKind,
  expected: Outcome,
  { view, outcome }: EndedJob,
  options: { readonly hasLostProvider: boolean },
): Judgement {
  if (kind.treatment === 'cancel' && view.state === 'cancelled') return { kind: 'right' };
  if (kind.endsAfterMs !== null) return judgeExpiry(kind, view.state);
  const code = view.failure?.code ?? '';
  if (kind.retries === 0 && code === 'SCHEDULER_RETRIES_EXHAUSTED')
    return { kind: 'excused', reason: `${kind.name}: ${code}` };
  const isStarved = view.state === 'expired' || (view.state === 'failed' && EXCUSES_OF_REPLICAS.has(code));
  if (kind.replicas > 1 && isStarved) return { kind: 'excused', reason: `${kind.name}: ${code}` };
  // What does not step logs anew in each attempt; of several replicas each logs.
  const hasWholeStory = kind.replicas === 1 && kind.everySteps !== null;
  const isShort =
    options.hasLostProvider &&
    outcome.events.length < expected.events.length &&
    isPartOf(outcome.events, expected.events);
  const events = isShort ? expected.events : outcome.events;
  const problems = hasWholeStory
    ? compareOutcomes(expected, { ...outcome, events })
    : compareResults(expected, outcome);
  if (problems.length > 0) {
    return { kind: 'wrong', problems: problems.map((problem) => `${kind.name} ended as ${view.state}: ${problem}`) };
  }
  return hasWholeStory && isShort ? { kind: 'short' } : { kind: 'right' };
}

function judgeExpiry({ name }: JobKind, state: string): Judgement {
  if (state === 'expired') return { kind: 'right' };
  return { kind: 'wrong', problems: [`${name} ended as ${state} instead of expired`] };
}

/** All of them, in the same order, with gaps in between. */
function isPartOf(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const event of whole) if (event === part[at]) at += 1;
  return at === part.length;
}

function compareResults(expected: Outcome, { result }: Outcome): readonly string[] {
  return result === expected.result ? [] : [`result ${result} instead of ${expected.result}`];
}
