import type { SnapshotReference } from '../domain/checkpoint.ts';
import type { LeaseId, PeerKey } from '../domain/ids.ts';
import { ATTEMPT_FAILURES } from '../domain/receipt.ts';
import { type Attempt, findAttempt, type JobMachineState, listLine, listOtherMakers } from './job-machine-state.ts';

/** A checkpoint of which the whole snapshot is with its holder. */
export interface HeldPoint {
  readonly lease: LeaseId;
  readonly index: number;
  readonly step: number;
  readonly fuel: number | null;
  readonly head: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly snapshot: SnapshotReference;
}

/** Ends of an attempt that could not go on from the state it was given. */
const REFUSED_STATES = ['INPUT_UNAVAILABLE', 'STATE_MISMATCH'];

/** Ends that a false state can be the cause of: once may be chance, not twice from one point. */
const SUSPECT_ENDS = ['EXECUTOR_UNAVAILABLE', 'EXECUTOR_CRASHED', 'INTERNAL', 'CHECKPOINT_INVALID'];
const SUSPECT_LIMIT = 2;

/**
 * Ends after which the checkpoints of an attempt still stand: it fell silent, said itself that it failed, or was told to
 * end. Who was caught at something false is not gone on from.
 */
const TRUSTED_ENDS: readonly string[] = [
  ...ATTEMPT_FAILURES.filter((code) => code !== 'STATE_MISMATCH'),
  'PARTITIONED',
  'LEASE_FORGOTTEN',
  'RESULT_NOT_KEPT',
  'OVERDUE',
  'SET_VOID',
];

/**
 * Where the next attempt of a replica goes on from: the newest held point of its own earlier attempts that is sound.
 * Undefined: the beginning. `points` are in the order in which they were held.
 */
export function chooseResumePoint(
  state: JobMachineState,
  next: { readonly replica: number; readonly provider: PeerKey },
  points: readonly HeldPoint[],
): HeldPoint | undefined {
  const others = listOtherMakers(state, next.replica);
  return points.findLast((point) => {
    const made = findAttempt(state, point.lease);
    if (made === undefined || made.replica !== next.replica) return false;
    // An attempt that stands has no end yet.
    if (!TRUSTED_ENDS.includes(made.end?.code ?? '')) return false;
    if (listLine(state, made.lease).some(({ provider }) => others.has(provider))) return false;
    if (state.attempts.filter((later) => isSuspect(later, point)).length >= SUSPECT_LIMIT) return false;
    return !state.attempts.some((later) => isRefusal(state, later, made, point.step));
  });
}

/** An attempt that went on from this very point came to nothing. */
function isSuspect({ resumedFrom, end }: Attempt, { lease, step }: HeldPoint): boolean {
  return resumedFrom?.lease === lease && resumedFrom.step === step && SUSPECT_ENDS.includes(end?.code ?? '');
}

/** A later attempt could not go on from this point, or from one before it in the same replica. */
function isRefusal(state: JobMachineState, later: Attempt, made: Attempt, step: number): boolean {
  if (later.replica !== made.replica || later.resumedFrom === null || later.resumedFrom.step > step) return false;
  if (!REFUSED_STATES.includes(later.end?.code ?? '')) return false;
  return state.attempts.indexOf(later) > state.attempts.indexOf(made);
}

/** Providers whose last attempt of an open replica was paused: they have its pages. */
export function listPreferred(state: JobMachineState, replicas: readonly number[]): PeerKey[] {
  return replicas.flatMap((replica) => {
    const last = state.attempts.findLast((attempt) => attempt.replica === replica);
    return last?.state === 'paused' ? [last.provider] : [];
  });
}

/** Which of the open replicas an offer is taken for: the one that its provider had before, if there is one. */
export function chooseReplica(
  state: JobMachineState,
  replicas: readonly number[],
  provider: PeerKey,
): number | undefined {
  const own = replicas.find(
    (replica) => state.attempts.findLast((attempt) => attempt.replica === replica)?.provider === provider,
  );
  return own ?? replicas[0];
}
