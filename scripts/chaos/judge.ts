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

export interface JudgeOptions {
  /**
   * A provider of the job died while it lived: what it had not handed out yet of logs and metrics went with it, and a
   * result of its that is kept does not bring them back (docs/durability.md).
   */
  readonly hasLostProvider: boolean;
  /** Something was done to its requester or to one of its providers while it lived (harm.ts). */
  readonly wasHarmed: boolean;
}

/**
 * With several replicas fewer than the quorum may be left when providers die between commitment and reveal, since a
 * replacement counts only if it committed before the first reveal (design section 7); or fewer providers may be left
 * that have not failed this job yet, and it expires.
 */
const EXCUSES_OF_REPLICAS: ReadonlySet<string> = new Set(['SCHEDULER_QUORUM_LOST', 'SCHEDULER_RETRIES_EXHAUSTED']);

/** Kinds that faults may leave without a result. */
export function mayBeExcused({ replicas, retries, endsAfterMs }: JobKind): boolean {
  return endsAfterMs === null && (replicas > 1 || retries === 0);
}

export function judgeJob(kind: JobKind, expected: Outcome, ended: EndedJob, options: JudgeOptions): Judgement {
  const { view, outcome } = ended;
  if (kind.treatment === 'cancel' && view.state === 'cancelled') return { kind: 'right' };
  if (kind.endsAfterMs !== null) return judgeExpiry(kind, view.state);
  const ending = view.failure?.code ?? view.state;
  if (isStarved(kind, ended)) {
    if (options.wasHarmed) return { kind: 'excused', reason: `${kind.name}: ${ending}` };
    const unharmed = 'and nothing was done to its requester or to any of its providers while it lived';
    return { kind: 'wrong', problems: [`${kind.name} ended as ${view.state} (${ending}), ${unharmed}`] };
  }
  const judged = hasOneStory(kind)
    ? compareStories(expected, outcome, options)
    : compareAttempts(kind, { expected, ended, options });
  if (judged.problems.length > 0) {
    const problems = judged.problems.map((problem) => `${kind.name} ended as ${view.state}: ${problem}`);
    return { kind: 'wrong', problems };
  }
  return { kind: judged.isShort ? 'short' : 'right' };
}

/** Without a result, of a kind and in a way for which faults may be the reason. */
function isStarved(kind: JobKind, { view }: EndedJob): boolean {
  const code = view.failure?.code ?? '';
  if (kind.retries === 0 && code === 'SCHEDULER_RETRIES_EXHAUSTED') return true;
  return kind.replicas > 1 && (view.state === 'expired' || (view.state === 'failed' && EXCUSES_OF_REPLICAS.has(code)));
}

function judgeExpiry({ name }: JobKind, state: string): Judgement {
  if (state === 'expired') return { kind: 'right' };
  return { kind: 'wrong', problems: [`${name} ended as ${state} instead of expired`] };
}

interface Comparison {
  readonly problems: readonly string[];
  readonly isShort: boolean;
}

/** Attempts of one replica go on where the one before was: together they print what one attempt prints. */
const hasOneStory = ({ replicas, everySteps }: JobKind): boolean => replicas === 1 && everySteps !== null;

function compareStories(expected: Outcome, outcome: Outcome, { hasLostProvider }: JudgeOptions): Comparison {
  const isShort =
    hasLostProvider && outcome.events.length < expected.events.length && isPartOf(outcome.events, expected.events);
  const events = isShort ? expected.events : outcome.events;
  return { problems: compareOutcomes(expected, { ...outcome, events }), isShort };
}

/** What does not step prints anew in each attempt; of several replicas each prints. */
function compareAttempts(
  kind: JobKind,
  given: { readonly expected: Outcome; readonly ended: EndedJob; readonly options: JudgeOptions },
): Comparison {
  const { expected, ended, options } = given;
  const { result, printed } = ended.outcome;
  const problems = result === expected.result ? [] : [`result ${result} instead of ${expected.result}`];
  const [whole = []] = expected.printed.values();
  for (const [lease, lines] of printed) {
    if (!isPartOf(lines, whole)) problems.push(`attempt ${lease} printed ${JSON.stringify(lines)}`);
  }
  // Of several replicas one may be let go before all that it printed is here.
  const accepted = kind.replicas === 1 ? (ended.view.result?.agreeing ?? []) : [];
  const missing = accepted.filter((lease) => (printed.get(lease) ?? []).length < whole.length);
  if (options.hasLostProvider) return { problems, isShort: missing.length > 0 };
  for (const lease of missing)
    problems.push(`the accepted attempt ${lease} printed ${printed.get(lease)?.length ?? 0} of ${whole.length} lines`);
  return { problems, isShort: false };
}

/** All of them, in the same order, with gaps in between. */
function isPartOf(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const event of whole) if (event === part[at]) at += 1;
  return at === part.length;
}
