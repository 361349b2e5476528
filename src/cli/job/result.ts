import { resolve } from 'node:path';
import { z } from 'zod';
import type { JobBatchId } from '../../domain/job-batch.ts';
import { formatSize } from '../../lib/quantity.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { JobResultView } from '../../scheduler/interface.ts';
import type { ExitCode } from '../exit-codes.ts';
import { type CliContext, type CliOutput, defineCommand } from '../interface.ts';
import { exitCodeOfBatch, renderBatch } from './batch/render-batch.ts';
import { writeBatchResults } from './batch/write-batch-results.ts';
import { exitCodeOf, renderAgreement, renderOutcome, renderOutputs } from './render-job.ts';
import { resolveTarget, TARGET_ARGUMENT } from './resolve-target.ts';

export const jobResult = defineCommand({
  name: 'job result',
  summary: 'write the output files of a job',
  details:
    'Without --output, lists them. Files are never overwritten: what is there already must be the same. Of a batch, each job has a folder of its own, named by its place, and jobs.jsonl lists them. Exit code 1 if the program did not complete.',
  arguments: [TARGET_ARGUMENT],
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
  run: async ({ arguments: [text = ''], options }, context): Promise<ExitCode> => {
    const { signal, output, workingDirectory } = context;
    await using client = await context.connect();
    const target = await resolveTarget(client, text, signal);
    if (target.kind === 'batch') return await writeBatch({ client, context }, target.batch, options.output);
    const { job } = target;
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

/** What has a result is written; jobs that have not ended are left out, and listed as such. */
async function writeBatch(
  { client, context }: { readonly client: RpcClient; readonly context: CliContext },
  batch: JobBatchId,
  folder: string | undefined,
): Promise<ExitCode> {
  const { output, signal, workingDirectory } = context;
  const view = await client.call('batch.show', { batch }, { signal });
  const written =
    folder === undefined
      ? undefined
      : await writeBatchResults({ client, context }, view, resolve(workingDirectory, folder));
  output.result({ ...view, ...(written === undefined ? {} : { written }) }, () => [
    ...renderBatch(view, Date.now()),
    ...(written === undefined ? [] : ['', `wrote the files of ${written.jobs} jobs under ${written.directory}`]),
  ]);
  return exitCodeOfBatch(view);
}
