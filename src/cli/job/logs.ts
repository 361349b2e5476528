import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { JobFollower } from './job-follower.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobLogs = defineCommand({
  name: 'job logs',
  summary: 'show what a job prints',
  details:
    'Replicas of a job print the same; each line is shown once, from whichever replica is first, unless --each-replica is given. With --json, every event of every replica is one line.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    follow: z.boolean().default(false).describe('go on until the job has ended').meta({ short: 'f' }),
    metrics: z.boolean().default(true).describe('leave out metrics such as the loss'),
    states: z.boolean().default(false).describe('changes of state and checkpoints too'),
    eachReplica: z.boolean().default(false).describe('what each replica prints, with its number'),
  }),
  examples: [
    { line: 'fogproof job logs latest --follow', does: 'Watch the newest job.' },
    { line: 'fogproof job logs bafyreigh2akisc --each-replica', does: 'Compare what its replicas printed.' },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const follower = new JobFollower(
      { output },
      {
        replicas: options.eachReplica ? 'each' : 'merged',
        shows: [
          'log' as const,
          ...(options.metrics ? ['metric' as const] : []),
          ...(options.states ? ['state' as const, 'attempt' as const, 'checkpoint' as const] : []),
        ],
      },
    );
    const events = client.subscribe('job.subscribe', { job, follow: options.follow }, { signal });
    for await (const event of events) follower.see(event);
    return EXIT_CODES.ok;
  },
});
