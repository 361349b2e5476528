import { resolve } from 'node:path';
import { z } from 'zod';
import { formatSize } from '../../lib/quantity.ts';
import type { JobResultView } from '../../scheduler/interface.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { exitCodeOf, renderAgreement, renderOutcome, renderOutputs } from './render-job.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobResult = defineCommand({
  name: 'job result',
  summary: 'write the output files of a job',
  details:
    'Without --output, lists them. Files are never overwritten: what is there already must be the same. Exit code 1 if the program did not complete.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    output: z
      .string()
      .exactOptional()
      .describe('folder to write to; made if it is missing')
      .meta({ short: 'o', placeholder: 'DIR' }),
  }),
  examples: [
    { line: 'fogproof job result latest', does: 'What the newest job gave.' },
    { line: 'fogproof job result latest --output results', does: 'Write its files under ./results.' },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { signal, output, workingDirectory } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const view = await client.call('job.show', { job }, { signal });
    // Without a result this is refused with the state that the job is in.
    const isListing = options.output === undefined && view.result !== null;
    const directory = resolve(workingDirectory, options.output ?? '.');
    const { files } = isListing ? { files: [] } : await client.call('job.writeOutputs', { job, directory }, { signal });
    output.result({ job, result: view.result, files }, () => [
      ...(view.result === null ? [] : [renderOutcome(view.result), renderAgreement(view.result)]),
      ...(isListing && view.result !== null ? ['', ...listOutputs(view.result, output)] : []),
      ...files.map(({ path, sizeBytes }) => `wrote ${path} (${formatSize(sizeBytes)})`),
    ]);
    return exitCodeOf(view);
  },
});

function listOutputs(result: JobResultView, output: CliOutput): string[] {
  if (result.outputs.length === 0) return ['no output files'];
  return [...renderOutputs(result, output), '', 'write them to a folder with --output DIR'];
}
