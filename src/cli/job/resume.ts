import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { shortId } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { renderState } from './render-job.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobResume = defineCommand({
  name: 'job resume',
  summary: 'go on with a paused job from its newest snapshots',
  details:
    'Each replica goes on from the newest snapshot that is held, on the provider that had it before or on another. A job that is not paused goes on as it does. What was printed before the pause is not printed again.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [
    { line: 'fogproof job resume latest', does: 'Go on with the newest job.' },
    { line: 'fogproof job resume latest && fogproof job logs latest --follow', does: 'Go on, and watch.' },
  ],
  run: async ({ arguments: [text = ''] }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const view = await client.call('job.resume', { job }, { signal });
    output.result(view, () => [`job ${shortId(job)} goes on: it is ${renderState(view)}`]);
    return EXIT_CODES.ok;
  },
});
