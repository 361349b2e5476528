import { z } from 'zod';
import { formatDuration } from '../../lib/quantity.ts';
import { JOB_STATES, type JobView } from '../../scheduler/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatWhen, shortId } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { renderState } from './render-job.ts';

export const jobList = defineCommand({
  name: 'job list',
  summary: 'list jobs of this node',
  arguments: [],
  options: z.strictObject({
    state: z.enum(JOB_STATES).exactOptional().describe('only jobs in this state').meta({ placeholder: 'STATE' }),
    limit: z.int().min(1).max(10_000).default(20).describe('most jobs to show, newest first'),
  }),
  examples: [
    { line: 'fogproof job list', does: 'The newest twenty.' },
    { line: 'fogproof job list --state running --json', does: 'What runs now, for a script.' },
  ],
  run: async ({ options }, context) => {
    await using client = await context.connect();
    const { jobs } = await client.call('job.list', options, { signal: context.signal });
    context.output.result({ jobs }, () => renderJobs(jobs, { output: context.output, nowMs: Date.now() }));
    return EXIT_CODES.ok;
  },
});

export function renderJobs(
  jobs: readonly JobView[],
  { output, nowMs }: { readonly output: Pick<CliOutput, 'table'>; readonly nowMs: number },
): string[] {
  if (jobs.length === 0) return ['no jobs: submit one with `fogproof job submit FILE`'];
  const rows = jobs.map((view) => [
    shortId(view.job),
    view.name,
    renderState(view),
    `${view.result?.agreeing.length ?? 0}/${view.replicas}`,
    formatWhen(view.createdAtMs, nowMs),
    formatDuration((view.endedAtMs ?? nowMs) - view.createdAtMs),
    view.failure?.code ?? '',
  ]);
  return output.table(['JOB', 'NAME', 'STATE', 'AGREE', 'CREATED', 'TOOK', 'FAILURE'], rows);
}
