import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { shortId } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { totalsOf } from './batch/render-batch.ts';
import { renderState } from './render-job.ts';
import { resolveTarget, TARGET_ARGUMENT } from './resolve-target.ts';

export const jobCancel = defineCommand({
  name: 'job cancel',
  summary: 'cancel a job, or all jobs of a batch',
  details:
    'Running attempts are stopped, and a job that was cancelled never goes on: to stop it for a while, use `fogproof job pause`. A job that has ended stays as it is. A batch that was cancelled takes no more jobs. `fogproof job stop` is another name of this command.',
  arguments: [TARGET_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof job cancel latest', does: 'Stop the newest job.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const target = await resolveTarget(client, text, signal);
    if (target.kind === 'batch') {
      const batch = await client.call('batch.cancel', { batch: target.batch }, { signal });
      output.result(batch, () => [
        `batch ${batch.batch} is cancelled: ${totalsOf(batch).completed} of its ${batch.size} jobs had completed`,
      ]);
      return EXIT_CODES.ok;
    }
    const { job } = target;
    const view = await client.call('job.cancel', { job }, { signal });
    output.result(view, () => [
      view.desired === 'cancel'
        ? `job ${shortId(job)} is ${renderState(view)}`
        : `job ${shortId(job)} had ended before and stays ${view.state}`,
    ]);
    return EXIT_CODES.ok;
  },
});
