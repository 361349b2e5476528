import { formatDuration } from '../../../lib/quantity.ts';
import type { JobBatchView, JobState } from '../../../scheduler/interface.ts';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.ts';
import { formatDateTime, formatWhen, plural, renderFields } from '../../format.ts';
import type { CliOutput } from '../../interface.ts';

const ENDED = ['completed', 'failed', 'cancelled', 'expired'] as const satisfies readonly JobState[];
const RUNNING = ['running', 'revealing'] as const satisfies readonly JobState[];

/** As the control socket has it: ids are text. */
export type ShownBatch = Omit<JobBatchView, 'batch'> & { readonly batch: string };

export interface BatchTotals {
  readonly completed: number;
  /** Ended without a completed result. */
  readonly failed: number;
  readonly running: number;
  /** Submitted, and neither ended nor running. */
  readonly waiting: number;
}

export function totalsOf({ states, submitted }: Pick<ShownBatch, 'states' | 'submitted'>): BatchTotals {
  const ended = ENDED.reduce((sum, state) => sum + states[state], 0);
  const running = RUNNING.reduce((sum, state) => sum + states[state], 0);
  return {
    completed: states.completed,
    failed: ended - states.completed,
    running,
    waiting: submitted - ended - running,
  };
}

/** 0 once all its jobs have completed, 1 if any ended in another way or some were never submitted. */
export function exitCodeOfBatch({ size, states }: Pick<ShownBatch, 'size' | 'states'>): ExitCode {
  return states.completed === size ? EXIT_CODES.ok : EXIT_CODES.failed;
}

export function renderBatch(view: ShownBatch, nowMs: number): string[] {
  const { completed, failed, running, waiting } = totalsOf(view);
  const missing = view.size - view.submitted;
  return renderFields([
    ['batch', view.batch],
    ['name', view.name],
    ['jobs', `${view.size}: ${completed} completed, ${failed} failed, ${running} running, ${waiting} waiting`],
    ['missing', missing === 0 || view.cancelledAtMs !== null ? undefined : renderMissing(missing)],
    ['created', formatDateTime(view.createdAtMs)],
    ['cancelled', view.cancelledAtMs === null ? undefined : formatDateTime(view.cancelledAtMs)],
    ['ended', renderEnd(view)],
    ['failures', renderFailures(view)],
    ['next', suggestNext(view, nowMs)],
  ]);
}

function renderMissing(missing: number): string {
  return `${plural(missing, 'job')} not submitted yet: run \`fogproof job submit\` with the same file again`;
}

function renderEnd({ endedAtMs, createdAtMs }: ShownBatch): string {
  if (endedAtMs === null) return 'not yet';
  return `${formatDateTime(endedAtMs)}, after ${formatDuration(Math.max(0, endedAtMs - createdAtMs))}`;
}

function renderFailures({ failures }: ShownBatch): string | undefined {
  if (failures.length === 0) return undefined;
  return failures.map(({ code, count }) => `${count} × ${code}`).join(', ');
}

function suggestNext({ batch, endedAtMs, states, ...view }: ShownBatch, _nowMs: number): string | undefined {
  if (view.submitted < view.size && view.cancelledAtMs === null) return 'submit what is missing, with the same file';
  if (endedAtMs === null) return `wait for it with \`fogproof job wait ${batch}\``;
  const failed = states.failed + states.expired;
  if (failed > 0) return `see those that failed with \`fogproof job list --batch ${batch} --state failed\``;
  return states.completed === 0 ? undefined : `write its files with \`fogproof job result ${batch} --output DIR\``;
}

export function renderBatches(
  batches: readonly ShownBatch[],
  { output, nowMs }: { readonly output: Pick<CliOutput, 'table'>; readonly nowMs: number },
): string[] {
  if (batches.length === 0) return ['no batches: a job file with `batch:` makes one (docs/job-spec.md)'];
  const rows = batches.map((view) => {
    const { completed, failed, running, waiting } = totalsOf(view);
    const state = view.cancelledAtMs !== null ? 'cancelled' : view.endedAtMs === null ? 'active' : 'ended';
    const counts = [view.size, completed, failed, running, waiting].map(String);
    return [view.batch, view.name, state, ...counts, formatWhen(view.createdAtMs, nowMs)];
  });
  return output.table(['BATCH', 'NAME', 'STATE', 'JOBS', 'DONE', 'FAILED', 'RUNNING', 'WAITING', 'CREATED'], rows);
}
