import { z } from 'zod';
import type { JobId } from '../../domain/ids.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { JobView } from '../../scheduler/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { shortId } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { renderState } from './render-job.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobPause = defineCommand({
  name: 'job pause',
  summary: 'stop a job at its next checkpoint, to go on later',
  details:
    'Its attempts end at their next checkpoint and give their snapshots to the holder; then nobody works on it until `fogproof job resume`. Only a job with `checkpoints` can be paused, and not one of a batch. Its deadline goes on while it is paused. With --wait, exit code 1 if it ended, or went on, before it was paused.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    wait: z.boolean().default(false).describe('answer when it is paused, not when it is asked to').meta({ short: 'w' }),
  }),
  examples: [
    { line: 'fogproof job pause latest --wait', does: 'Stop the newest job and wait until nothing of it runs.' },
    { line: 'fogproof job pause latest && fogproof job resume latest', does: 'Move it to whichever provider offers.' },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const asked = await client.call('job.pause', { job }, { signal });
    if (options.wait) output.progress('waiting for its next checkpoint …');
    const view = options.wait ? await waitUntilPaused(client, asked, signal) : asked;
    output.progress('');
    output.result(view, () => [describe(view)]);
    return options.wait && view.state !== 'paused' ? EXIT_CODES.failed : EXIT_CODES.ok;
  },
});

/** Until it is paused, or will not be. */
async function waitUntilPaused(client: RpcClient, asked: JobView, signal: AbortSignal): Promise<JobView> {
  if (isSettled(asked)) return asked;
  const { job }: { readonly job: JobId } = asked;
  let view = asked;
  for await (const event of client.subscribe('job.subscribe', { job, follow: true }, { signal })) {
    if (event.kind !== 'state') continue;
    // Events of the past come first: what is now is asked for.
    view = await client.call('job.show', { job }, { signal });
    if (isSettled(view)) return view;
  }
  return client.call('job.show', { job }, { signal });
}

const isSettled = ({ state, endedAtMs, desired }: JobView): boolean =>
  state === 'paused' || endedAtMs !== null || desired !== 'pause';

function describe(view: JobView): string {
  const id = shortId(view.job);
  if (view.endedAtMs !== null) return `job ${id} ended before it was paused: it is ${view.state}`;
  if (view.state === 'paused') return `job ${id} is paused; go on with: fogproof job resume ${id}`;
  return `job ${id} is ${renderState(view)}`;
}
