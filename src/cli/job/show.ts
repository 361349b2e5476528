import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { renderExplanation, renderJob } from './render-job.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobShow = defineCommand({
  name: 'job show',
  summary: 'show a job, its attempts and its result',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    why: z
      .boolean()
      .default(false)
      .describe('say why it waits or failed: who was asked, what each answered')
      .meta({ short: 'w' }),
  }),
  examples: [
    { line: 'fogproof job show latest', does: 'The newest job.' },
    { line: 'fogproof job show bafyreigh2akisc --why', does: 'Why that job has no provider yet.' },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const view = await client.call('job.show', { job }, { signal });
    const lines = (): string[] => renderJob(view, { output, nowMs: Date.now() });
    if (!options.why) {
      output.result(view, lines);
      return EXIT_CODES.ok;
    }
    const explanation = await client.call('job.explain', { job }, { signal });
    output.result({ ...view, explanation }, () => [...lines(), '', ...renderExplanation(explanation, output)]);
    return EXIT_CODES.ok;
  },
});
