import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { shortId } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { renderState } from './render-job.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobCancel = defineCommand({
  name: 'job cancel',
  summary: 'cancel a job',
  details:
    'Running attempts are stopped, and a job that was cancelled never goes on: to stop it for a while, use `fogproof job pause`. A job that has ended stays as it is. `fogproof job stop` is another name of this command.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof job cancel latest', does: 'Stop the newest job.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const view = await client.call('job.cancel', { job }, { signal });
    output.result(view, () => [
      view.desired === 'cancel'
        ? `job ${shortId(job)} is ${renderState(view)}`
        : `job ${shortId(job)} had ended before and stays ${view.state}`,
    ]);
    return EXIT_CODES.ok;
  },
});
