import type { JobId, LeaseId, PeerKey, UnixMs } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import { MAX_ATTEMPT_NUMBER } from '../domain/lease.ts';
import { listComparisons } from '../proofs/compare-results.ts';
import { MAX_ATTEMPTS_PER_REPLICA } from './constants.ts';
import type { AttemptState } from './interface.ts';
import type { ReleasedEvidence } from './job-machine-events.ts';

/** What the machine must know of a job; none of it ever changes. */
export interface JobFacts {
  readonly job: JobId;
  readonly replicas: number;
  readonly quorum: number;
  readonly retries: number;
  readonly deadlineMs: UnixMs;
  /** Results are committed to before any is revealed. */
  readonly commitReveal: boolean;
  /** Its attempts make checkpoints: they can be paused, and gone on from. */
  readonly hasCheckpoints: boolean;
  /** Results agree by their outputs, within tolerances, and need not be byte-identical. */
  readonly comparesOutputs: boolean;
}

export interface Attempt {
  readonly lease: LeaseId;
  readonly provider: PeerKey;
  readonly replica: number;
  readonly attempt: number;
  /** Equal for all replicas that stand. */
  readonly instrumenter: string;
  readonly state: AttemptState;
  /** The provider countersigned the lease. */
  readonly isAccepted: boolean;
  readonly leasedAtMs: UnixMs;
  readonly leaseEndsAtMs: UnixMs;
  /** How long after its end the provider keeps the result, ms, as it signed. Absent: it did not say. */
  readonly resultsKeptForMs?: number;
  readonly progress: {
    readonly sequence: number;
    readonly fuel: number | null;
    readonly step: number;
    readonly cpuTimeMs: number;
  } | null;
  /** The attempt of the same replica and the step that it goes on from; null began at the beginning. */
  readonly resumedFrom: { readonly lease: LeaseId; readonly step: number } | null;
  /** It may have been asked to stop at its next checkpoint. */
  readonly isPauseAsked: boolean;
  /** In how many sets its commitment stood that were fixed: by the first of them it may be bound, by no other. */
  readonly fixedSets: number;
  /** Set where secrets were released to it, and as of when its evidence was judged. */
  readonly released?: { readonly evidence: ReleasedEvidence; readonly atMs: UnixMs };
  /** Set in `revealed`. */
  readonly outputRoot: string | null;
  /** Set where it ended without a result. */
  readonly end: { readonly code: string; readonly reason: string; readonly isCounted: boolean } | null;
}

interface JobCore {
  readonly facts: JobFacts;
  /** What the requester wants; the attempts say what is. */
  readonly desired: 'run' | 'pause' | 'cancel';
  readonly attempts: readonly Attempt[];
  /** Leases whose commitments stand in the set, once it is fixed. */
  readonly set: readonly LeaseId[] | null;
  /** Replicas given up: k shrinks by each of them. */
  readonly abandoned: readonly { readonly replica: number; readonly reason: string }[];
}

export interface ActiveJob extends JobCore {
  readonly kind: 'seeking' | 'running' | 'paused' | 'revealing';
}

export interface EndedJob extends JobCore {
  readonly kind: 'completed' | 'failed' | 'cancelled' | 'expired';
  readonly endedAtMs: UnixMs;
  /** The one accepted result; null where there is none. */
  readonly acceptedRoot: string | null;
  /** Who agrees with it. Absent: whoever gave the same root. */
  readonly agreeing?: readonly LeaseId[];
  readonly failure: { readonly code: string; readonly message: string } | null;
}

export type JobMachineState = ActiveJob | EndedJob;

export function createJobFacts(id: JobId, job: Job): JobFacts {
  return {
    job: id,
    replicas: job.replication.replicas,
    quorum: job.replication.quorum,
    retries: job.retries,
    deadlineMs: job.deadlineMs,
    commitReveal: job.replication.replicas > 1,
    hasCheckpoints: job.checkpoints !== undefined,
    comparesOutputs: listComparisons(job) !== null,
  };
}

export function createInitialState(facts: JobFacts): ActiveJob {
  return { kind: 'seeking', facts, desired: 'run', attempts: [], set: null, abandoned: [] };
}

export function isEnded(state: JobMachineState): state is EndedJob {
  return 'endedAtMs' in state;
}

const RUNNING_STATES: readonly AttemptState[] = ['leased', 'queued', 'running', 'unreachable'];
const STANDING_STATES: readonly AttemptState[] = [...RUNNING_STATES, 'committed', 'revealed'];

/** Neither ended nor committed: its lease must be renewed. */
export function isRunning(attempt: Attempt): boolean {
  return RUNNING_STATES.includes(attempt.state);
}

/** Holds its replica's place: running, committed or revealed. */
export function isStanding(attempt: Attempt): boolean {
  return STANDING_STATES.includes(attempt.state);
}

export function findAttempt(state: JobMachineState, lease: LeaseId): Attempt | undefined {
  return state.attempts.find((attempt) => attempt.lease === lease);
}

/** The attempt that holds the place of a replica. */
export function findStanding(state: JobMachineState, replica: number): Attempt | undefined {
  return state.attempts.find((attempt) => attempt.replica === replica && isStanding(attempt));
}

/**
 * Counts as lost, and may be back: what it gives is judged by its lease (docs/scheduling.md). Only of a lease that was
 * accepted can anything come.
 */
export function mayReturn(attempt: Attempt): boolean {
  return attempt.state === 'lost' && attempt.isAccepted;
}

export interface AttemptCounts {
  /** Used up a retry. */
  readonly counted: number;
  readonly paused: number;
  readonly total: number;
}

export function countAttempts(state: JobMachineState, replica: number): AttemptCounts {
  const own = state.attempts.filter((attempt) => attempt.replica === replica);
  return {
    counted: own.filter((attempt) => attempt.end?.isCounted === true).length,
    paused: own.filter((attempt) => attempt.state === 'paused').length,
    total: own.length,
  };
}

/** A replica that was tried as often as may be. */
export function isExhausted(state: JobMachineState, replica: number): boolean {
  const { counted, paused, total } = countAttempts(state, replica);
  return counted > state.facts.retries || total - paused >= MAX_ATTEMPTS_PER_REPLICA || total > MAX_ATTEMPT_NUMBER;
}

/** An attempt and those that it inherited its state from, the newest first. */
export function listLine(state: JobMachineState, lease: LeaseId): Attempt[] {
  const line: Attempt[] = [];
  let attempt = findAttempt(state, lease);
  while (attempt !== undefined) {
    line.push(attempt);
    attempt = attempt.resumedFrom === null ? undefined : findAttempt(state, attempt.resumedFrom.lease);
  }
  return line;
}

/**
 * Who made what the standing attempts of other replicas give. Diversity rule `peer` (domain/job.ts) over whole lines: a
 * provider whose state one replica went on from has its hand in that replica, so it gets no other.
 */
export function listOtherMakers(state: JobMachineState, replica: number): Set<PeerKey> {
  const others = state.attempts.filter((attempt) => attempt.replica !== replica && isStanding(attempt));
  return new Set(others.flatMap(({ lease }) => listLine(state, lease)).map(({ provider }) => provider));
}

/** Replicas that neither have an attempt that stands nor were given up. */
export function listOpenReplicas(state: JobMachineState): number[] {
  return Array.from({ length: state.facts.replicas }, (_, replica) => replica).filter(
    (replica) => !isAbandoned(state, replica) && findStanding(state, replica) === undefined,
  );
}

export function isAbandoned(state: JobMachineState, replica: number): boolean {
  return state.abandoned.some((entry) => entry.replica === replica);
}
