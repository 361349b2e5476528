import { z } from 'zod';
import type { JobBatchId } from '../../domain/job-batch.ts';
import { formatDuration } from '../../lib/quantity.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { RpcMethods } from '../../rpc/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { JOB_STATES, type JobState, type JobView } from '../../scheduler/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatWhen, shortId } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { renderBatches } from './batch/render-batch.ts';
import { renderState } from './render-job.ts';
import { resolveBatch } from './resolve-target.ts';

/** Jobs of a batch in one answer. */
const PAGE_JOBS = 1_000;

export const jobList = defineCommand({
  name: 'job list',
  summary: 'list jobs of this node',
  arguments: [],
  options: z.strictObject({
    state: z.enum(JOB_STATES).exactOptional().describe('only jobs in this state').meta({ placeholder: 'STATE' }),
    batch: z.string().exactOptional().describe('only jobs of this batch, in order').meta({ placeholder: 'NAME' }),
    batches: z.boolean().default(false).describe('list batches, not jobs'),
    limit: z.int().min(1).max(10_000).default(20).describe('most jobs to show, newest first'),
  }),
  examples: [
    { line: 'fogproof job list', does: 'The newest twenty.' },
    { line: 'fogproof job list --batch sweep --state failed', does: 'Which jobs of a batch failed, and why.' },
    { line: 'fogproof job list --state running --json', does: 'What runs now, for a script.' },
  ],
  run: async ({ options }, context) => {
    await using client = await context.connect();
    const { output, signal } = context;
    const { batch, batches: showsBatches, ...filter } = options;
    const nowMs = Date.now();
    if (showsBatches) {
      const { batches } = await client.call('batch.list', { limit: filter.limit }, { signal });
      output.result({ batches }, () => renderBatches(batches, { output, nowMs }));
    } else if (batch === undefined) {
      const { jobs } = await client.call('job.list', filter, { signal });
      output.result({ jobs }, () => renderJobs(jobs, { output, nowMs }));
    } else {
      const jobs = await listBatchJobs(client, { ...filter, batch: await resolveBatch(client, batch, signal) }, signal);
      output.result({ jobs }, () => renderBatchJobs(jobs, { output, nowMs }));
    }
    return EXIT_CODES.ok;
  },
});

export function renderJobs(
  jobs: readonly JobView[],
  { output, nowMs }: { readonly output: Pick<CliOutput, 'table'>; readonly nowMs: number },
): string[] {
  if (jobs.length === 0) return ['no jobs: submit one with `fogproof job submit FILE`'];
  const rows = jobs.map((view) => describeRow(view, nowMs));
  return output.table(HEAD, rows);
}

const HEAD = ['JOB', 'NAME', 'STATE', 'AGREE', 'CREATED', 'TOOK', 'FAILURE'];

function describeRow(view: JobView, nowMs: number): string[] {
  return [
    shortId(view.job),
    view.name,
    renderState(view),
    `${view.result?.agreeing.length ?? 0}/${view.replicas}`,
    formatWhen(view.createdAtMs, nowMs),
    formatDuration((view.endedAtMs ?? nowMs) - view.createdAtMs),
    view.failure?.code ?? '',
  ];
}

type BatchJob = JsonForm<RpcMethods['batch.jobs']['result']>['jobs'][number];

/** Page by page, as many as were asked for. */
async function listBatchJobs(
  client: RpcClient,
  { batch, limit, state }: { readonly batch: JobBatchId; readonly limit: number; readonly state?: JobState },
  signal: AbortSignal,
): Promise<readonly BatchJob[]> {
  const jobs: BatchJob[] = [];
  for (let fromIndex = 0; jobs.length < limit; ) {
    const page = {
      fromIndex,
      limit: Math.min(PAGE_JOBS, limit - jobs.length),
      ...(state === undefined ? {} : { state }),
    };
    const answer = await client.call('batch.jobs', { batch, ...page }, { signal });
    const last = answer.jobs.at(-1);
    if (last === undefined) break;
    jobs.push(...answer.jobs);
    fromIndex = last.index + 1;
  }
  return jobs;
}

function renderBatchJobs(
  jobs: readonly BatchJob[],
  { output, nowMs }: { readonly output: Pick<CliOutput, 'table'>; readonly nowMs: number },
): string[] {
  if (jobs.length === 0) return ['no such jobs in this batch'];
  const rows = jobs.map(({ index, job, view }) => [
    String(index),
    ...(view === null ? [shortId(job), '', 'cannot be read', '', '', '', ''] : describeRow(view, nowMs)),
  ]);
  return output.table(['#', ...HEAD], rows);
}
