import type { LeaseId, PeerKey } from '../domain/ids.ts';
import { ATTEMPT_FAILURES } from '../domain/receipt.ts';
import { ATTEMPTS_PER_PROVIDER, PROVIDER_REST_MS } from './constants.ts';
import {
  type Attempt,
  isEnded,
  isExhausted,
  isRunning,
  isStanding,
  type JobMachineState,
  listOpenReplicas,
  listOtherMakers,
} from './job-machine-state.ts';

/** What a job needs next. Deciding is pure, so a restarted node decides as the one before it did. */
export type Decision =
  | { readonly kind: 'ended' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'wait' }
  /** Nothing new is begun; `leases` are to be told to stop at their next checkpoint. */
  | { readonly kind: 'pause'; readonly leases: readonly LeaseId[] }
  /** `canShrink`: all others committed, and they suffice for the quorum. */
  | { readonly kind: 'seek'; readonly replicas: readonly number[]; readonly canShrink: boolean }
  | { readonly kind: 'abandon'; readonly replica: number; readonly reason: string }
  | { readonly kind: 'give-up'; readonly replica: number; readonly reason: string }
  | { readonly kind: 'fix-set'; readonly leases: readonly LeaseId[] }
  | { readonly kind: 'sign-set' }
  | { readonly kind: 'reveal' }
  | { readonly kind: 'judge' };

export function decide(state: JobMachineState): Decision {
  if (isEnded(state)) return { kind: 'ended' };
  if (state.desired === 'cancel') return { kind: 'cancel' };
  if (state.kind === 'revealing') return { kind: 'reveal' };
  const standing = state.attempts.filter(isStanding);
  if (!state.facts.commitReveal && standing.some((attempt) => attempt.state === 'revealed')) return { kind: 'judge' };
  const decision = decideReplicas(state, standing);
  if (state.desired !== 'pause' || (decision.kind !== 'seek' && decision.kind !== 'wait')) return decision;
  const asked = standing.filter((attempt) => isRunning(attempt) && attempt.isAccepted && attempt.isPauseAsked);
  return { kind: 'pause', leases: asked.map(({ lease }) => lease) };
}

function decideReplicas(state: JobMachineState, standing: readonly Attempt[]): Decision {
  const { replicas, quorum } = state.facts;
  const open = listOpenReplicas(state);
  const exhausted = open.find((replica) => isExhausted(state, replica));
  if (exhausted !== undefined) {
    const reason = describeLastEnd(state, exhausted);
    const left = replicas - state.abandoned.length - 1;
    return { kind: left < quorum ? 'give-up' : 'abandon', replica: exhausted, reason };
  }
  const areAllCommitted = standing.every((attempt) => attempt.state === 'committed');
  if (open.length > 0) {
    return { kind: 'seek', replicas: open, canShrink: areAllCommitted && standing.length >= quorum };
  }
  if (!state.facts.commitReveal || !areAllCommitted) return { kind: 'wait' };
  if (state.set !== null) return { kind: 'sign-set' };
  return { kind: 'fix-set', leases: standing.map((attempt) => attempt.lease) };
}

/** Why the last attempt of a replica gave nothing. */
export function describeLastEnd(state: JobMachineState, replica: number): string {
  const last = state.attempts.findLast((attempt) => attempt.replica === replica && attempt.end !== null);
  return last?.end ? `${last.end.code}: ${last.end.reason}`.slice(0, 300) : 'no provider took it';
}

export interface Tally {
  readonly revealed: number;
  /** The most common output root with the attempts that gave it; null before any reveal. */
  readonly best: { readonly outputRoot: string; readonly attempts: readonly Attempt[] } | null;
}

/** Results by what they came to. More than half must agree, so at most one root can reach a quorum. */
export function tallyResults(state: JobMachineState): Tally {
  const revealed = state.attempts.filter((attempt) => attempt.state === 'revealed');
  const groups = Map.groupBy(revealed, (attempt) => attempt.outputRoot ?? '');
  const [best] = [...groups].sort(([, a], [, b]) => b.length - a.length);
  return {
    revealed: revealed.length,
    best: best === undefined ? null : { outputRoot: best[0], attempts: best[1] },
  };
}

/** Ends of an attempt after which its provider may be tried again for the same job. */
const PASSING_ENDS = [
  'PARTITIONED',
  'LEASE_FORGOTTEN',
  'RESULT_NOT_KEPT',
  'EXECUTOR_UNAVAILABLE',
  'INPUT_UNAVAILABLE',
  'CANCELLED',
];

/** True for a provider that holds a replica of the job, or had its chances of late. */
export function isProviderExcluded(state: JobMachineState, provider: PeerKey, nowMs: number): boolean {
  const own = state.attempts.filter((attempt) => attempt.provider === provider);
  const tried = own.filter(({ end, state: kind }) => end?.code !== 'SET_VOID' && kind !== 'paused');
  if (nowMs < findRestEnd(tried)) return true;
  // Whoever has its hand in a replica that stands gets no other one.
  if (listOtherMakers(state, -1).has(provider)) return true;
  return own.some((attempt) => isStanding(attempt) || !isForgiven(state, attempt));
}

function findRestEnd(tried: readonly Attempt[]): number {
  const beyond = tried.length - ATTEMPTS_PER_PROVIDER;
  if (beyond < 0) return Number.NEGATIVE_INFINITY;
  const { first, longest } = PROVIDER_REST_MS;
  return Math.max(...tried.map(({ leaseEndsAtMs }) => leaseEndsAtMs)) + Math.min(longest, first * 2 ** beyond);
}

/**
 * Who fell silent, or said itself that it failed, may try again (the order of asking puts it last), but not to hold up
 * replicas that could do without. Who was caught at something may not.
 */
function isForgiven(state: JobMachineState, { end }: Attempt): boolean {
  if (end === null || !end.isCounted || PASSING_ENDS.includes(end.code)) return true;
  const decision = decide(state);
  return HONEST_ENDS.includes(end.code) && decision.kind === 'seek' && !decision.canShrink;
}

const HONEST_ENDS: readonly string[] = ATTEMPT_FAILURES;
