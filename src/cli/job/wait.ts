import { z } from 'zod';
import { defineCommand } from '../interface.ts';
import { exitCodeOf, renderJob } from './render-job.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobWait = defineCommand({
  name: 'job wait',
  summary: 'wait until a job has ended',
  details:
    'Exit code 1 if the job did not complete. A paused job has not ended: it is waited for until it goes on and ends.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [
    {
      line: 'fogproof job wait latest && fogproof job result latest --output out',
      does: 'Collect it when it is done.',
    },
  ],
  run: async ({ arguments: [text = ''] }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    output.progress('waiting …');
    const view = await client.call('job.wait', { job }, { signal });
    output.progress('');
    output.result(view, () => renderJob(view, { output, nowMs: Date.now() }));
    return exitCodeOf(view);
  },
});
