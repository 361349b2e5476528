/**
 * The life of a job as a pure function: (state, event) => state, or a rejection that says why the event cannot be.
 * Desired state is set by `pause-requested`, `resume-requested` and `cancel-requested` alone; all else is observed. Terminal states are final.
 */
import type { LeaseId } from '../domain/ids.ts';
import type { AttemptState } from './interface.ts';
import type { JobMachineEvent, JobMachineEventOf } from './job-machine-events.ts';
import {
  type ActiveJob,
  type Attempt,
  countAttempts,
  type EndedJob,
  findAttempt,
  findStanding,
  isAbandoned,
  isEnded,
  isExhausted,
  isRunning,
  isStanding,
  type JobMachineState,
  listLine,
  listOpenReplicas,
  listOtherMakers,
  mayReturn,
} from './job-machine-state.ts';

export const REJECTIONS = {
  JOB_ENDED: 'the job has ended',
  UNKNOWN_LEASE: 'no attempt has this lease',
  DUPLICATE_LEASE: 'an attempt has this lease already',
  NOT_DESIRED: 'the job is to be paused or cancelled',
  NOT_CANCELLING: 'the job is not to be cancelled',
  NOT_PAUSABLE: 'the job makes no checkpoints',
  NOT_PAUSED: 'the job is not to be paused',
  NOT_PAUSING: 'the attempt was not asked to stop',
  BAD_RESUME: 'it goes on from no ended attempt of the same replica',
  NO_SUCH_REPLICA: 'the job has no such replica, or it was given up',
  REPLICA_OCCUPIED: 'the replica has an attempt already',
  PROVIDER_OCCUPIED: 'the provider holds another replica of the job',
  OTHER_INSTRUMENTER: 'the other replicas run under another instrumenter',
  WRONG_ATTEMPT_NUMBER: 'attempts of a replica count up from 0',
  RETRIES_EXHAUSTED: 'the replica has used up its retries',
  ALREADY_ACCEPTED: 'the lease was accepted already',
  NOT_ACCEPTED: 'the provider has not accepted the lease',
  ALREADY_RELEASED: 'secrets were released to this attempt already',
  ATTEMPT_OVER: 'the attempt has ended',
  STALE_PROGRESS: 'progress does not count up',
  LEASE_LIVE: 'the lease has not ended yet',
  NOT_UNREACHABLE: 'the attempt is not unreachable',
  NO_COMMITMENTS: 'results of this job are not committed to',
  SET_FIXED: 'the set of commitments is fixed',
  BAD_SET: 'the set must hold exactly the commitments of all replicas that stand, and at least a quorum',
  SET_OPEN: 'the set of commitments is not fixed',
  NOT_LOST: 'the attempt does not count as lost',
  NOT_IN_SET: 'the attempt is not committed in the set',
  QUORUM_MISSING: 'fewer equal results than the quorum',
  BAD_AGREEMENT:
    'those that agree must be revealed results of a job that compares outputs, the accepted one among them',
  STILL_STANDING: 'attempts still stand',
  DEADLINE_AHEAD: 'the deadline has not passed',
} as const satisfies Record<string, string>;
export type RejectionCode = keyof typeof REJECTIONS;

export interface Rejection {
  readonly kind: 'rejected';
  readonly code: RejectionCode;
}

type Outcome = JobMachineState | Rejection;

export function transition(state: JobMachineState, event: JobMachineEvent): Outcome {
  if (isEnded(state)) return reject('JOB_ENDED');
  const next = isAboutAttempt(event) ? transitionAttempt(state, event) : transitionJob(state, event);
  return next.kind === 'seeking' || next.kind === 'running' || next.kind === 'paused' ? deriveKind(next) : next;
}

export function isRejection(outcome: Outcome): outcome is Rejection {
  return outcome.kind === 'rejected';
}

function reject(code: RejectionCode): Rejection {
  return { kind: 'rejected', code };
}

/**
 * Before any reveal, a job is running while any attempt stands, else it seeks. It is paused once nothing of it runs and
 * something of it is still to be run.
 */
function deriveKind(state: ActiveJob): ActiveJob {
  const isHalted = state.desired === 'pause' && !state.attempts.some(isRunning) && listOpenReplicas(state).length > 0;
  const kind = isHalted ? 'paused' : state.attempts.some(isStanding) ? 'running' : 'seeking';
  return kind === state.kind ? state : { ...state, kind };
}

type AttemptEvent = Exclude<Extract<JobMachineEvent, { lease: LeaseId }>, { kind: 'lease-issued' | 'returned' }>;
type WholeJobEvent = Exclude<JobMachineEvent, AttemptEvent>;

function isAboutAttempt(event: JobMachineEvent): event is AttemptEvent {
  return 'lease' in event && event.kind !== 'lease-issued' && event.kind !== 'returned';
}

function transitionJob(state: ActiveJob, event: WholeJobEvent): Outcome {
  switch (event.kind) {
    case 'lease-issued':
      return issueLease(state, event);
    case 'returned':
      return takeBack(state, event);
    case 'set-fixed':
      return fixSet(state, event);
    case 'reveal-begun':
      if (state.desired === 'cancel') return reject('NOT_DESIRED');
      if (state.set === null) return reject('SET_OPEN');
      return state.kind === 'revealing' ? reject('SET_FIXED') : { ...state, kind: 'revealing' };
    case 'replica-abandoned':
      return abandonReplica(state, event);
    case 'pause-requested':
      return requestPause(state);
    case 'resume-requested':
      return state.desired === 'pause' ? { ...state, desired: 'run' } : reject('NOT_PAUSED');
    case 'cancel-requested':
      return state.desired === 'cancel' ? reject('NOT_DESIRED') : { ...state, desired: 'cancel' };
    case 'concluded':
      return conclude(state, event);
    case 'job-failed': {
      if (state.desired === 'cancel') return reject('NOT_DESIRED');
      const failure = { code: event.code, message: event.message };
      return end(state, { kind: 'failed', endedAtMs: event.atMs, acceptedRoot: null, failure });
    }
    case 'job-cancelled':
      return finishCancel(state, event);
    case 'deadline-passed':
      return expire(state, event);
    default:
      return event satisfies never;
  }
}

function requestPause(state: ActiveJob): Outcome {
  if (!state.facts.hasCheckpoints) return reject('NOT_PAUSABLE');
  if (state.desired !== 'run') return reject('NOT_DESIRED');
  const attempts = state.attempts.map((attempt) => (isRunning(attempt) ? { ...attempt, isPauseAsked: true } : attempt));
  return { ...state, desired: 'pause', attempts };
}

function issueLease(state: ActiveJob, event: JobMachineEventOf<'lease-issued'>): Outcome {
  const { facts } = state;
  if (findAttempt(state, event.lease) !== undefined) return reject('DUPLICATE_LEASE');
  if (state.desired !== 'run') return reject('NOT_DESIRED');
  if (state.set !== null) return reject('SET_FIXED');
  if (event.replica >= facts.replicas || isAbandoned(state, event.replica)) return reject('NO_SUCH_REPLICA');
  if (findStanding(state, event.replica) !== undefined) return reject('REPLICA_OCCUPIED');
  const source = event.resumedFrom && findAttempt(state, event.resumedFrom.lease);
  const isOwn = source?.replica === event.replica && source.isAccepted;
  if (event.resumedFrom !== undefined && !isOwn) return reject('BAD_RESUME');
  const inherited = source === undefined ? [] : listLine(state, source.lease).map(({ provider }) => provider);
  const others = listOtherMakers(state, event.replica);
  if ([event.provider, ...inherited].some((maker) => others.has(maker))) return reject('PROVIDER_OCCUPIED');
  const standing = state.attempts.filter(isStanding);
  // Results of other instrumenters differ for honest reasons (design section 6, «Determinism»).
  if (standing.some((other) => other.instrumenter !== event.instrumenter)) return reject('OTHER_INSTRUMENTER');
  if (event.attempt !== countAttempts(state, event.replica).total) return reject('WRONG_ATTEMPT_NUMBER');
  if (isExhausted(state, event.replica)) return reject('RETRIES_EXHAUSTED');
  const attempt: Attempt = {
    lease: event.lease,
    provider: event.provider,
    replica: event.replica,
    attempt: event.attempt,
    instrumenter: event.instrumenter,
    state: 'leased',
    isAccepted: false,
    leasedAtMs: event.atMs,
    leaseEndsAtMs: event.leaseEndsAtMs,
    progress: null,
    resumedFrom: event.resumedFrom ?? null,
    isPauseAsked: false,
    fixedSets: 0,
    outputRoot: null,
    end: null,
  };
  return { ...state, attempts: [...state.attempts, attempt] };
}

/**
 * A partition is not the provider's death (design section 6): who comes back with its lease unbroken takes up its replica
 * again, unless another attempt has given a result for it.
 */
function takeBack(state: ActiveJob, event: JobMachineEventOf<'returned'>): Outcome {
  const attempt = findAttempt(state, event.lease);
  if (attempt === undefined) return reject('UNKNOWN_LEASE');
  if (!mayReturn(attempt)) return reject('NOT_LOST');
  if (state.desired === 'cancel') return reject('NOT_DESIRED');
  if (state.set !== null) return reject('SET_FIXED');
  if (isAbandoned(state, attempt.replica)) return reject('NO_SUCH_REPLICA');
  const standing = findStanding(state, attempt.replica);
  const isReplaced = standing !== undefined && standing.lease === event.replaces && isRunning(standing);
  if (standing !== undefined && !isReplaced) return reject('REPLICA_OCCUPIED');
  const others = listOtherMakers(state, attempt.replica);
  if (listLine(state, attempt.lease).some(({ provider }) => others.has(provider))) return reject('PROVIDER_OCCUPIED');
  const isOther = (other: Attempt): boolean => other !== standing && other.instrumenter !== attempt.instrumenter;
  if (state.attempts.filter(isStanding).some(isOther)) return reject('OTHER_INSTRUMENTER');
  const ended = { code: 'SUPERSEDED', reason: 'the attempt that it replaced came back', isCounted: false };
  const attempts = state.attempts.map((other) => {
    if (other === attempt) return { ...attempt, ...REVIVED, leaseEndsAtMs: event.leaseEndsAtMs };
    return other === standing ? endAttempt(other, 'cancelled', ended) : other;
  });
  return { ...state, attempts };
}

const REVIVED = { state: 'running', end: null, isPauseAsked: false } as const;

function fixSet(state: ActiveJob, event: JobMachineEventOf<'set-fixed'>): Outcome {
  if (!state.facts.commitReveal) return reject('NO_COMMITMENTS');
  if (state.desired === 'cancel') return reject('NOT_DESIRED');
  if (state.set !== null) return reject('SET_FIXED');
  const standing = state.attempts.filter(isStanding);
  const named = new Set(event.leases);
  const isWhole =
    named.size === event.leases.length &&
    standing.length === named.size &&
    standing.every((attempt) => attempt.state === 'committed' && named.has(attempt.lease)) &&
    standing.length + state.abandoned.length === state.facts.replicas &&
    standing.length >= state.facts.quorum;
  if (!isWhole) return reject('BAD_SET');
  const attempts = state.attempts.map((attempt) =>
    named.has(attempt.lease) ? { ...attempt, fixedSets: attempt.fixedSets + 1 } : attempt,
  );
  return { ...state, attempts, set: event.leases };
}

function abandonReplica(state: ActiveJob, event: JobMachineEventOf<'replica-abandoned'>): Outcome {
  if (state.set !== null) return reject('SET_FIXED');
  if (event.replica >= state.facts.replicas || isAbandoned(state, event.replica)) return reject('NO_SUCH_REPLICA');
  if (findStanding(state, event.replica) !== undefined) return reject('REPLICA_OCCUPIED');
  return { ...state, abandoned: [...state.abandoned, { replica: event.replica, reason: event.reason }] };
}

function conclude(state: ActiveJob, event: JobMachineEventOf<'concluded'>): Outcome {
  if (state.desired === 'cancel') return reject('NOT_DESIRED');
  const agreeing = findAgreeing(state, event);
  if (agreeing === undefined) return reject('BAD_AGREEMENT');
  if (agreeing.length < state.facts.quorum) return reject('QUORUM_MISSING');
  const { programFailure } = event;
  const failure = programFailure && {
    code: `JOB_PROGRAM_${programFailure.code}`,
    message: programFailure.detail || 'its program failed',
  };
  const kind = failure === null ? 'completed' : 'failed';
  const named = event.agreeing === undefined ? {} : { agreeing: event.agreeing };
  return end(state, { kind, endedAtMs: event.atMs, acceptedRoot: event.outputRoot, failure, ...named });
}

/** Undefined where attempts are named that cannot agree, or none of them gave the root. */
function findAgreeing(state: ActiveJob, event: JobMachineEventOf<'concluded'>): readonly Attempt[] | undefined {
  const revealed = state.attempts.filter((attempt) => attempt.state === 'revealed');
  const identical = revealed.filter((attempt) => attempt.outputRoot === event.outputRoot);
  if (event.agreeing === undefined) return identical;
  const named = new Set(event.agreeing);
  const agreeing = revealed.filter(({ lease }) => named.has(lease));
  const isSound = agreeing.length === event.agreeing.length && identical.some(({ lease }) => named.has(lease));
  return isSound && state.facts.comparesOutputs ? agreeing : undefined;
}

function finishCancel(state: ActiveJob, event: JobMachineEventOf<'job-cancelled'>): Outcome {
  if (state.desired !== 'cancel') return reject('NOT_CANCELLING');
  if (state.attempts.some(isStanding)) return reject('STILL_STANDING');
  const failure = { code: 'JOB_CANCELLED', message: 'it was cancelled by its requester' };
  return end(state, { kind: 'cancelled', endedAtMs: event.atMs, acceptedRoot: null, failure });
}

function expire(state: ActiveJob, event: JobMachineEventOf<'deadline-passed'>): Outcome {
  if (event.atMs < state.facts.deadlineMs) return reject('DEADLINE_AHEAD');
  const unkept = state.attempts.findLast((attempt) => attempt.end?.code === 'RESULT_NOT_KEPT');
  const reason = unkept?.end ? `; of ${unkept.provider}: ${unkept.end.reason}` : '';
  const failure = {
    code: 'JOB_DEADLINE',
    message: `its deadline passed before it had a result${reason}`.slice(0, 500),
  };
  return end(state, { kind: 'expired', endedAtMs: event.atMs, acceptedRoot: null, failure });
}

/** What has not given a result by then is over with the job. */
function end(
  state: ActiveJob,
  ending: Pick<EndedJob, 'kind' | 'endedAtMs' | 'acceptedRoot' | 'agreeing' | 'failure'>,
): EndedJob {
  const attempts = state.attempts.map((attempt) =>
    isStanding(attempt) && attempt.state !== 'revealed'
      ? endAttempt(attempt, 'cancelled', { code: 'JOB_ENDED', reason: 'the job ended without it', isCounted: false })
      : attempt,
  );
  return { ...state, ...ending, attempts };
}

function endAttempt(attempt: Attempt, state: AttemptState, reason: NonNullable<Attempt['end']>): Attempt {
  return { ...attempt, state, end: reason };
}

function transitionAttempt(state: ActiveJob, event: AttemptEvent): Outcome {
  const attempt = findAttempt(state, event.lease);
  if (attempt === undefined) return reject('UNKNOWN_LEASE');
  if (!isStanding(attempt)) return reject('ATTEMPT_OVER');
  const next = changeAttempt(state, attempt, event);
  if ('code' in next) return next;
  const attempts = state.attempts.map((other) => (other === attempt ? next : other));
  // A set that lost a member before the first reveal is void: the others sign a new one.
  const isSetVoid = state.kind !== 'revealing' && !isStanding(next) && state.set !== null;
  return isSetVoid ? { ...state, attempts, set: null } : { ...state, attempts };
}

function changeAttempt(state: ActiveJob, attempt: Attempt, event: AttemptEvent): Attempt | Rejection {
  switch (event.kind) {
    case 'attempt-failed':
      return endAttempt(attempt, 'failed', { code: event.code, reason: event.reason, isCounted: event.isCounted });
    case 'attempt-cancelled':
      if (state.desired !== 'cancel') return reject('NOT_CANCELLING');
      return endAttempt(attempt, 'cancelled', { code: 'CANCELLED', reason: event.reason, isCounted: false });
    case 'attempt-paused':
      if (!isRunning(attempt) || !attempt.isAccepted || !attempt.isPauseAsked) return reject('NOT_PAUSING');
      return endAttempt(attempt, 'paused', { code: 'PAUSED', reason: event.reason, isCounted: false });
    case 'revealed':
      return reveal(state, attempt, event);
    default:
      return isRunning(attempt) ? changeRunning(state, attempt, event) : reject('ATTEMPT_OVER');
  }
}

type RunningEvent = Exclude<
  AttemptEvent,
  { kind: 'attempt-failed' | 'attempt-cancelled' | 'attempt-paused' | 'revealed' }
>;

function changeRunning(state: ActiveJob, attempt: Attempt, event: RunningEvent): Attempt | Rejection {
  switch (event.kind) {
    case 'accepted':
      if (attempt.isAccepted) return reject('ALREADY_ACCEPTED');
      return {
        ...attempt,
        isAccepted: true,
        state: 'leased',
        leaseEndsAtMs: event.leaseEndsAtMs,
        ...readPromise(event),
      };
    case 'released':
      if (!attempt.isAccepted) return reject('NOT_ACCEPTED');
      if (attempt.released !== undefined) return reject('ALREADY_RELEASED');
      return { ...attempt, released: { evidence: event.evidence, atMs: event.atMs } };
    case 'phase':
      if (!attempt.isAccepted) return reject('NOT_ACCEPTED');
      return { ...attempt, state: event.phase === 'running' || event.phase === 'finished' ? 'running' : 'queued' };
    case 'progress':
      return renew(attempt, event);
    case 'unreachable':
      return attempt.state === 'unreachable' ? reject('NOT_UNREACHABLE') : { ...attempt, state: 'unreachable' };
    case 'reattached':
      if (attempt.state !== 'unreachable') return reject('NOT_UNREACHABLE');
      return { ...attempt, state: attempt.progress === null ? 'queued' : 'running' };
    case 'lease-expired': {
      if (event.atMs < attempt.leaseEndsAtMs) return reject('LEASE_LIVE');
      // Who was cut off may be back, who was silent on an open stream will be again.
      const code = attempt.state === 'unreachable' ? 'PARTITIONED' : 'LEASE_EXPIRED';
      const reason = 'its lease ended without a sign of progress';
      return endAttempt(attempt, 'lost', { code, reason, isCounted: attempt.isAccepted });
    }
    case 'committed':
      if (!state.facts.commitReveal) return reject('NO_COMMITMENTS');
      if (!attempt.isAccepted) return reject('NOT_ACCEPTED');
      return state.set === null ? { ...attempt, state: 'committed' } : reject('SET_FIXED');
    default:
      return event satisfies never;
  }
}

function readPromise({ resultsKeptForMs }: JobMachineEventOf<'accepted'>): Pick<Attempt, 'resultsKeptForMs'> {
  return resultsKeptForMs === undefined ? {} : { resultsKeptForMs };
}

function renew(attempt: Attempt, event: JobMachineEventOf<'progress'>): Attempt | Rejection {
  if (!attempt.isAccepted) return reject('NOT_ACCEPTED');
  if (event.sequence <= (attempt.progress?.sequence ?? 0)) return reject('STALE_PROGRESS');
  const { sequence, fuel, step, cpuTimeMs } = event;
  const leaseEndsAtMs = event.leaseEndsAtMs > attempt.leaseEndsAtMs ? event.leaseEndsAtMs : attempt.leaseEndsAtMs;
  return { ...attempt, state: 'running', leaseEndsAtMs, progress: { sequence, fuel, step, cpuTimeMs } };
}

function reveal(state: ActiveJob, attempt: Attempt, event: JobMachineEventOf<'revealed'>): Attempt | Rejection {
  if (attempt.state === 'revealed') return reject('ATTEMPT_OVER');
  if (!attempt.isAccepted) return reject('NOT_ACCEPTED');
  if (!state.facts.commitReveal) return { ...attempt, state: 'revealed', outputRoot: event.outputRoot };
  // Commit, then reveal (design section 7): only what stands in the set counts, and only once it is fixed.
  const isInSet = state.kind === 'revealing' && state.set?.includes(attempt.lease) === true;
  return isInSet ? { ...attempt, state: 'revealed', outputRoot: event.outputRoot } : reject('NOT_IN_SET');
}
