import type { BlobId, LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Receipt } from '../../domain/receipt.ts';
import { ATTEMPTS_VIEWED } from '../constants.ts';
import type { AttemptView, DifferenceView, JobEvent, JobResultView, JobView } from '../interface.ts';
import { type Rejection, transition } from '../job-machine.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { type Attempt, isEnded, isStanding, type JobMachineState } from '../job-machine-state.ts';
import type { ResultAgreement } from './judgement.ts';

/** What is known of an attempt's checkpoints. */
export type SummarizeCheckpoints = (lease: LeaseId) => Pick<AttemptView, 'checkpoint'>;

const NO_CHECKPOINTS: SummarizeCheckpoints = () => ({});

export function viewAttempt(attempt: Attempt, summarize: SummarizeCheckpoints = NO_CHECKPOINTS): AttemptView {
  const { lease, provider, replica, state, leasedAtMs, leaseEndsAtMs, progress, end, resumedFrom } = attempt;
  const { resultsKeptForMs } = attempt;
  return {
    lease,
    provider,
    replica,
    attempt: attempt.attempt,
    state,
    leasedAtMs,
    leaseEndsAtMs,
    ...(resultsKeptForMs === undefined ? {} : { resultsKeptForMs }),
    progress: progress && { fuel: progress.fuel, step: progress.step, cpuTimeMs: progress.cpuTimeMs },
    reason: end && `${end.code}: ${end.reason}`,
    ...summarize(lease),
    ...(resumedFrom === null ? {} : { resumedFrom }),
    ...viewEvidence(attempt),
  };
}

function viewEvidence({ released }: Attempt): Pick<AttemptView, 'evidence'> {
  if (released === undefined) return {};
  const { kind, measurement, gpus, blob } = released.evidence;
  return { evidence: { kind, measurement, gpus, blob: blob as BlobId, judgedAtMs: released.atMs } };
}

export function viewJob(
  job: Job,
  state: JobMachineState,
  { result, summarize }: { readonly result: JobResultView | null; readonly summarize?: SummarizeCheckpoints },
): JobView {
  return {
    job: state.facts.job,
    name: job.name,
    state: state.kind,
    desired: state.desired,
    createdAtMs: job.createdAtMs,
    deadlineMs: job.deadlineMs,
    endedAtMs: isEnded(state) ? state.endedAtMs : null,
    replicas: job.replication.replicas,
    quorum: job.replication.quorum,
    attempts: chooseViewed(state.attempts).map((attempt) => viewAttempt(attempt, summarize)),
    // A result that was judged before the job was cancelled, and not yet accepted, is none.
    result: isEnded(state) && state.acceptedRoot !== null ? result : null,
    failure: isEnded(state) ? state.failure : null,
  };
}

/** A job that was paused thousands of times has as many attempts: of those that gave nothing the newest are shown. */
function chooseViewed(attempts: readonly Attempt[]): readonly Attempt[] {
  const surplus = attempts.length - ATTEMPTS_VIEWED;
  if (surplus <= 0) return attempts;
  const oldest = new Set(attempts.filter((attempt) => !isStanding(attempt)).slice(0, surplus));
  return attempts.filter((attempt) => !oldest.has(attempt));
}

/** What the accepted root says, with who agreed and who did not. */
export function viewResult(
  receipt: Receipt,
  state: JobMachineState,
  agreement: ResultAgreement | null = null,
): JobResultView {
  const revealed = state.attempts.filter((attempt) => attempt.state === 'revealed');
  const { result, outputRoot, sandbox } = receipt;
  const identical = revealed.filter((attempt) => attempt.outputRoot === outputRoot).map(({ lease }) => lease);
  const agreeing = new Set(agreement?.leases ?? identical);
  const within = [...agreeing].filter((lease) => !identical.includes(lease));
  return {
    outcome: result.outcome,
    outputs: result.outputs,
    outputRoot,
    fuel: result.fuel,
    steps: result.steps,
    ...(sandbox.inference === undefined ? {} : { inference: sandbox.inference }),
    agreeing: revealed.filter(({ lease }) => agreeing.has(lease)).map(({ lease }) => lease),
    dissenting: revealed.filter(({ lease }) => !agreeing.has(lease)).map(({ lease }) => lease),
    ...(within.length === 0 ? {} : { withinTolerance: { leases: within, largest: viewLargest(agreement) } }),
  };
}

function viewLargest(agreement: ResultAgreement | null): DifferenceView | null {
  const largest = agreement?.largest ?? null;
  return largest && { ...largest, share: String(largest.share) };
}

/** What followers of a job see of one transition. */
export function describeTransition(
  before: JobMachineState,
  after: JobMachineState,
  atMs: JobEvent['atMs'],
  summarize?: SummarizeCheckpoints,
): JobEvent[] {
  const { job } = after.facts;
  const events: JobEvent[] = [];
  for (const [index, attempt] of after.attempts.entries()) {
    if (before.attempts[index] !== attempt)
      events.push({ kind: 'attempt', job, atMs, attempt: viewAttempt(attempt, summarize) });
  }
  if (before.kind !== after.kind) events.push({ kind: 'state', job, atMs, state: after.kind });
  return events;
}

/** The state after a history. Rejected events are never recorded: a rejection means that the history is corrupt. */
export function replay(initial: JobMachineState, history: readonly JobMachineEvent[]): JobMachineState | Rejection {
  let state = initial;
  for (const event of history) {
    const next = transition(state, event);
    if (next.kind === 'rejected') return next;
    state = next;
  }
  return state;
}
