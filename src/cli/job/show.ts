import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { renderBatch } from './batch/render-batch.ts';
import { renderExplanation, renderJob } from './render-job.ts';
import { resolveTarget, TARGET_ARGUMENT } from './resolve-target.ts';

export const jobShow = defineCommand({
  name: 'job show',
  summary: 'show a job, its attempts and its result',
  details: 'Of a batch, shows how many of its jobs are in which state, and why some failed.',
  arguments: [TARGET_ARGUMENT],
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
    const target = await resolveTarget(client, text, signal);
    if (target.kind === 'batch') {
      const batch = await client.call('batch.show', { batch: target.batch }, { signal });
      output.result(batch, () => renderBatch(batch, Date.now()));
      return EXIT_CODES.ok;
    }
    const { job } = target;
    const view = await client.call('job.show', { job }, { signal });
    const lines = (): string[] => renderJob(view, { output, nowMs: Date.now() });
    if (!options.why) {
      output.result(view, lines);
      return EXIT_CODES.ok;
    }
    const explanation = await client.call('job.explain', { job }, { signal });
    output.result({ ...view, explanation }, () => [
      ...lines(),
      '',
      ...renderExplanation(explanation, { output, attempts: view.attempts.length }),
    ]);
    return EXIT_CODES.ok;
  },
});
