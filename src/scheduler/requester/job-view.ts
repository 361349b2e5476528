import type { Job } from '../../domain/job.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { AttemptView, JobEvent, JobResultView, JobView } from '../interface.ts';
import { type Rejection, transition } from '../job-machine.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { type Attempt, isEnded, type JobMachineState } from '../job-machine-state.ts';

export function viewAttempt(attempt: Attempt): AttemptView {
  const { lease, provider, replica, state, leasedAtMs, leaseEndsAtMs, progress, end } = attempt;
  return {
    lease,
    provider,
    replica,
    attempt: attempt.attempt,
    state,
    leasedAtMs,
    leaseEndsAtMs,
    progress: progress && { fuel: progress.fuel, step: progress.step, cpuTimeMs: progress.cpuTimeMs },
    reason: end && `${end.code}: ${end.reason}`,
  };
}

export function viewJob(job: Job, state: JobMachineState, result: JobResultView | null): JobView {
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
    attempts: state.attempts.map(viewAttempt),
    result,
    failure: isEnded(state) ? state.failure : null,
  };
}

/** What the accepted root says, with who agreed and who did not. */
export function viewResult(receipt: Receipt, state: JobMachineState): JobResultView {
  const revealed = state.attempts.filter((attempt) => attempt.state === 'revealed');
  const { result, outputRoot } = receipt;
  return {
    outcome: result.outcome,
    outputs: result.outputs,
    outputRoot,
    fuel: result.fuel,
    steps: result.steps,
    agreeing: revealed.filter((attempt) => attempt.outputRoot === outputRoot).map((attempt) => attempt.lease),
    dissenting: revealed.filter((attempt) => attempt.outputRoot !== outputRoot).map((attempt) => attempt.lease),
  };
}

/** What followers of a job see of one transition. */
export function describeTransition(
  before: JobMachineState,
  after: JobMachineState,
  atMs: JobEvent['atMs'],
): JobEvent[] {
  const { job } = after.facts;
  const events: JobEvent[] = [];
  for (const [index, attempt] of after.attempts.entries()) {
    if (before.attempts[index] !== attempt) events.push({ kind: 'attempt', job, atMs, attempt: viewAttempt(attempt) });
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
