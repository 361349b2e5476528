import type { JobId } from '../../../src/domain/ids.ts';
import { isEnded, isStanding, type JobMachineState } from '../../../src/scheduler/job-machine-state.ts';
import type { JobHistory } from '../read-job.ts';
import type { RunContext } from '../run-context.ts';
import type { Rule } from '../tally.ts';

/** The requester's side of one job as a whole. */
export function checkJob(context: RunContext, history: JobHistory): void {
  const { tally } = context;
  const subject = { node: history.node.name, key: `jobs/${history.id}` };
  tally.check('jobs-signed', subject, listJobRules(history));
  const { replayed } = history;
  if (replayed === undefined) return tally.skip('histories-legal');
  const historyKey = { ...subject, key: `job-history/${history.id}` };
  tally.check('histories-legal', historyKey, [
    [history.gapAt === null, `entry ${history.gapAt} does not follow on those before it`],
    [replayed.problem === null, replayed.problem ?? ''],
  ]);
  tally.check('jobs-ended', subject, listEndRules(context, history, replayed.state));
  if (history.end !== undefined) tally.check('summaries-match', subject, listSummaryRules(history, replayed.state));
}

function listJobRules({ node, id, record, job, jobProblem }: JobHistory): readonly Rule[] {
  if (job === undefined || record === undefined) return [[false, jobProblem ?? 'it cannot be read']];
  const { value, signer } = job;
  return [
    [(job.id as string) === id, `it holds the job ${job.id}`],
    [signer === value.requester, `it is signed by ${signer} and names ${value.requester} as its requester`],
    [node.peer === null || value.requester === node.peer, `its requester is ${value.requester}, not this node`],
    [record.name === value.name && record.createdAtMs === value.createdAtMs, 'name or time beside it are others'],
    [
      (record.snapshotKey !== undefined) === (value.checkpoints?.sealed === true),
      'it has a key for its snapshots and does not seal them, or the other way round',
    ],
  ];
}

function listEndRules({ allowRunning }: RunContext, history: JobHistory, state: JobMachineState): readonly Rule[] {
  const hasEnd = history.end !== undefined;
  if (isEnded(state)) return [[hasEnd, `its history ends as ${state.kind}, and nothing was written of its end`]];
  const standing = state.attempts.filter(isStanding);
  return [
    [!hasEnd, `an end was written and its history goes on (${state.kind})`],
    [allowRunning, `it has not ended: it is ${state.kind}, with ${standing.length} attempts that stand`],
    [
      standing.every(({ lease }) => history.objects.get(lease)?.has('lease') === true),
      'it cannot go on: the lease of an attempt that stands is missing',
    ],
  ];
}

function listSummaryRules({ id, end }: JobHistory, state: JobMachineState): readonly Rule[] {
  if (end === undefined || !isEnded(state)) return [];
  const { view } = end;
  const states = new Map(state.attempts.map((attempt) => [attempt.lease, attempt.state]));
  const wrong = view.attempts.filter((attempt) => states.get(attempt.lease) !== attempt.state);
  const accepted = view.result?.outputRoot ?? null;
  return [
    [view.job === id, `it is of the job ${view.job}`],
    [view.state === state.kind, `it says ${view.state}, the history ${state.kind}`],
    [view.endedAtMs === state.endedAtMs, `it ended at ${view.endedAtMs}, by the history at ${state.endedAtMs}`],
    [accepted === state.acceptedRoot, `it accepts ${accepted}, the history ${state.acceptedRoot}`],
    [view.failure?.code === state.failure?.code, `it failed with ${view.failure?.code}, not ${state.failure?.code}`],
    [wrong.length === 0, `attempt ${wrong[0]?.lease} is ${wrong[0]?.state} in it and not in the history`],
    [
      (view.result?.agreeing ?? []).every((lease) => states.get(lease) === 'revealed'),
      'an attempt agrees in it that gave no result',
    ],
  ];
}

/** A job that a client was told of is in some requester's folder. */
export function checkAcknowledged(
  context: RunContext,
  acknowledged: readonly string[],
  found: ReadonlySet<JobId>,
): void {
  for (const id of acknowledged) {
    context.tally.check('acknowledged-jobs-kept', { node: '', key: `jobs/${id}` }, [
      [found.has(id as JobId), 'a client was told that it is accepted, and no node has it'],
    ]);
  }
}
