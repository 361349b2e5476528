import { z } from 'zod';
import type { JobBatchId } from '../../domain/job-batch.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { ExitCode } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { followBatch, isQuiet } from './batch/follow-batch.ts';
import { exitCodeOfBatch, renderBatch } from './batch/render-batch.ts';
import { exitCodeOf, renderJob } from './render-job.ts';
import { resolveTarget, TARGET_ARGUMENT } from './resolve-target.ts';

export const jobWait = defineCommand({
  name: 'job wait',
  summary: 'wait until a job, or every job of a batch, has ended',
  details:
    'Exit code 1 if the job did not complete. A paused job has not ended: it is waited for until it goes on and ends. Of a batch: exit code 1 if any of its jobs did not complete.',
  arguments: [TARGET_ARGUMENT],
  options: z.strictObject({}),
  examples: [
    {
      line: 'fogproof job wait latest && fogproof job result latest --output out',
      does: 'Collect it when it is done.',
    },
  ],
  run: async ({ arguments: [text = ''] }, context): Promise<ExitCode> => {
    const { signal, output } = context;
    await using client = await context.connect();
    const target = await resolveTarget(client, text, signal);
    if (target.kind === 'batch') return await waitForBatch({ client, context }, target.batch);
    const { job } = target;
    output.progress('waiting …');
    const view = await client.call('job.wait', { job }, { signal });
    output.progress('');
    output.result(view, () => renderJob(view, { output, nowMs: Date.now() }));
    return exitCodeOf(view);
  },
});

async function waitForBatch(
  { client, context }: { readonly client: RpcClient; readonly context: CliContext },
  batch: JobBatchId,
): Promise<ExitCode> {
  const { output, signal } = context;
  const view = await followBatch({ client, context }, batch, { until: isQuiet, signal });
  output.result(view, () => renderBatch(view, Date.now()));
  return exitCodeOfBatch(view);
}
