import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { describeError, UsageError } from '../../lib/errors.ts';
import { SystemRandom } from '../../lib/random.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { RpcMethods } from '../../rpc/interface.ts';
import type { JobView } from '../../scheduler/interface.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { shortId } from '../format.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import type { OpenedJobFile } from '../job-file/interface.ts';
import { openJobFile, planJob } from '../job-file/load-job-file.ts';
import { placeFolders } from '../job-file/place-folders.ts';
import { submitBatch } from './batch/submit-batch.ts';
import { JobFollower } from './job-follower.ts';
import { exitCodeOf, renderJob } from './render-job.ts';
import { addFiles, listFolders, measureFiles, renderPlan } from './submit-plan.ts';

const options = z.strictObject({
  detach: z
    .boolean()
    .default(false)
    .describe('answer when the job is submitted; collect it later')
    .meta({ short: 'd' }),
  output: z
    .string()
    .exactOptional()
    .describe('write the output files under this folder when it is done')
    .meta({ short: 'o', placeholder: 'DIR' }),
  bundle: z
    .string()
    .exactOptional()
    .describe('write the evidence bundle to this file when it is done')
    .meta({ short: 'b', placeholder: 'FILE' }),
  batch: z
    .string()
    .exactOptional()
    .describe('name of the batch, where the file describes one; by default made of what its jobs are')
    .meta({ placeholder: 'NAME' }),
  eachReplica: z.boolean().default(false).describe('show what each replica prints, not equal lines once'),
});
type SubmitOptions = z.output<typeof options>;

/** What was kept of a job that has ended. */
interface Kept {
  readonly outputs?: RpcMethods['job.writeOutputs']['result']['files'];
  readonly bundle?: RpcMethods['bundle.export']['result'];
}

export const jobSubmit = defineCommand({
  name: 'job submit',
  summary: 'submit a job and follow it',
  details:
    'Shows what will run and its highest cost, submits, and follows until the job has ended: states, what the program prints, its metrics. Ctrl-C stops following, not the job. Exit code 1 if the job did not complete. A file with `batch:` describes many jobs: they are submitted together and followed with one line; with --output each has a folder of its own. Submitting the same batch again goes on with it, and never submits a job twice.',
  arguments: [{ name: 'file', description: 'job file, YAML or JSON', isRequired: true }],
  options,
  examples: [
    { line: 'fogproof job submit job.yaml --output results', does: 'Run it and write its files to ./results.' },
    {
      line: 'fogproof job submit job.yaml --bundle job.bundle',
      does: 'Keep the evidence, to be checked offline by anybody.',
    },
    {
      line: 'fogproof job submit job.yaml --detach',
      does: 'Submit and go, also offline; `fogproof job collect latest --output results` comes back for it.',
    },
    {
      line: 'fogproof job submit sweep.yaml --output results',
      does: 'Run the thousands of jobs of a batch file, and write what each gave.',
    },
  ],
  run: async ({ arguments: [file = ''], options: given }, context): Promise<ExitCode> => {
    const { output, signal, workingDirectory } = context;
    assertKeptInForeground(given);
    const nowMs = Date.now();
    const opened = await openJobFile(resolve(workingDirectory, file));
    if (opened.jobFile.batch !== undefined) return await submitMany(opened, given, context);
    assertOneJob(given);
    const planned = await planJob(opened, { nowMs, random: new SystemRandom() });
    await using client = await context.connect();
    const folders = planned.knownFolders.map(({ folder }) => folder);
    const plan = placeFolders(planned, await listFolders(client, folders, signal));
    for (const line of renderPlan(plan, await measureFiles(plan), nowMs)) output.note(line);
    output.progress('adding files …');
    const draft = await addFiles(client, plan, signal);
    const submitted = await client.call('job.submit', { draft }, { signal });
    if (given.detach) {
      output.result(submitted, () => [submitted.job]);
      output.note(`follow it with: fogproof job logs ${shortId(submitted.job)} --follow`);
      output.note(`collect it with: fogproof job collect ${shortId(submitted.job)} --output DIR`);
      return EXIT_CODES.ok;
    }
    output.note(`submitted  ${submitted.job}`);
    const ended = await followToEnd({ client, context, view: submitted }, given);
    const kept = await keepResult({ client, context, view: ended }, given);
    output.result({ ...ended, ...kept }, () => [
      ...renderJob(ended, { output, nowMs: Date.now() }),
      ...renderKept(kept),
    ]);
    return exitCodeOf(ended);
  },
});

async function submitMany(file: OpenedJobFile, given: SubmitOptions, context: CliContext): Promise<ExitCode> {
  const { detach, output, bundle, batch } = given;
  if (bundle !== undefined) {
    throw new UsageError(
      'a batch has a bundle for each job',
      'Use `fogproof bundle export JOB` for those that matter.',
    );
  }
  const directory = output === undefined ? undefined : resolve(context.workingDirectory, output);
  return await submitBatch({ file, detach, batch, directory }, context);
}

function assertOneJob({ batch }: SubmitOptions): void {
  if (batch === undefined) return;
  throw new UsageError(
    '--batch names a batch, and the file describes one job',
    'Leave it out, or add `batch:` to the file.',
  );
}

/** Once detached, nobody is there to write them. */
function assertKeptInForeground({ detach, output, bundle }: SubmitOptions): void {
  if (!detach || (output === undefined && bundle === undefined)) return;
  throw new UsageError(
    `--${output === undefined ? 'bundle' : 'output'} has no effect with --detach`,
    'Leave it out and collect later with `fogproof job result` and `fogproof bundle export`.',
  );
}

interface Submission {
  readonly client: RpcClient;
  readonly context: CliContext;
  readonly view: JobView;
}

async function followToEnd({ client, context, view }: Submission, { eachReplica }: SubmitOptions): Promise<JobView> {
  const { output, signal } = context;
  const { job } = view;
  // With --json stdout is for the one document at the end.
  const lines = {
    item: (_: unknown, text: string) => output.note(text),
    progress: output.progress.bind(output),
    isJson: false,
  };
  const follower = new JobFollower(
    { output: lines },
    { replicas: eachReplica ? 'each' : 'merged', shows: ['state', 'attempt', 'log', 'metric'] },
  );
  const ended = new AbortController();
  const explaining = explainWaiting({ client, context, view }, AbortSignal.any([signal, ended.signal]));
  try {
    for await (const event of client.subscribe('job.subscribe', { job, follow: true }, { signal })) follower.see(event);
    return await client.call('job.wait', { job }, { signal });
  } catch (error) {
    if (signal.aborted) output.note(`job ${shortId(job)} goes on; follow it with: fogproof job logs ${job} --follow`);
    throw error;
  } finally {
    ended.abort();
    await explaining;
    output.progress('');
  }
}

/** How often a job that waits is asked why, ms; told when it changes. */
const WAITING_MS = 3_000;

async function explainWaiting({ client, context, view }: Submission, signal: AbortSignal): Promise<void> {
  let told = '';
  try {
    for (;;) {
      await sleep(WAITING_MS, undefined, { signal });
      const { state, summary, hints } = await client.call('job.explain', { job: view.job }, { signal });
      const text = [`waiting: ${summary}`, ...hints.map((hint) => `  → ${hint}`)].join('\n');
      if (state !== 'seeking' || text === told) continue;
      context.output.note(text);
      told = text;
    }
  } catch (error) {
    // The job ended, or the follower has the same error to tell.
    if (!signal.aborted) context.output.note(`why it waits cannot be told: ${describeError(error)}`);
  }
}

async function keepResult({ client, context, view }: Submission, given: SubmitOptions): Promise<Kept> {
  const { signal, workingDirectory } = context;
  const { job } = view;
  if (view.result === null) return {};
  const { output, bundle } = given;
  return {
    ...(output === undefined
      ? {}
      : {
          outputs: (
            await client.call('job.writeOutputs', { job, directory: resolve(workingDirectory, output) }, { signal })
          ).files,
        }),
    ...(bundle === undefined
      ? {}
      : {
          bundle: await client.call(
            'bundle.export',
            { job, path: resolve(workingDirectory, bundle), format: 'bundle', content: 'outputs' },
            { signal },
          ),
        }),
  };
}

function renderKept({ outputs, bundle }: Kept): string[] {
  return [
    ...(outputs === undefined && bundle === undefined ? [] : ['']),
    ...(outputs ?? []).map(({ path }) => `wrote ${path}`),
    ...(bundle === undefined ? [] : [`wrote ${bundle.path} (evidence: ${bundle.verdict})`]),
  ];
}
