import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { JobId } from '../../domain/ids.ts';
import { describeError, UsageError } from '../../lib/errors.ts';
import { parseDuration } from '../../lib/quantity.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { JobView } from '../../scheduler/interface.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { formatWhen, plural, shortId } from '../format.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { followBatch, isQuiet } from './batch/follow-batch.ts';
import { exitCodeOfBatch, renderBatch, type ShownBatch } from './batch/render-batch.ts';
import { writeBatchResults } from './batch/write-batch-results.ts';
import { exitCodeOf, renderState } from './render-job.ts';
import { resolveTarget } from './resolve-target.ts';

const MOST_JOBS = 10_000;

const options = z.strictObject({
  all: z.boolean().default(false).describe('every job of this node that has not ended, or ended within --since'),
  since: z.string().default('7d').describe('how far --all goes back, such as 12h').meta({ placeholder: 'DURATION' }),
  output: z
    .string()
    .exactOptional()
    .describe('folder to write to; with --all each job has a folder of its own in it')
    .meta({ short: 'o', placeholder: 'DIR' }),
  noWait: z.boolean().default(false).describe('take what is there; do not wait for what still runs'),
});
type CollectOptions = z.output<typeof options>;

/** What became of one job. */
interface Collected {
  readonly view: JobView;
  readonly files: readonly string[];
  /** Why its files could not be written. */
  readonly problem?: string;
}

interface Collection {
  readonly client: RpcClient;
  readonly context: CliContext;
  readonly options: CollectOptions;
}

export const jobCollect = defineCommand({
  name: 'job collect',
  summary: 'come back for jobs that were submitted with --detach',
  details:
    'Waits until the job, or the batch, has ended, says what became of it and writes its output files with --output. The node that submitted may have been off meanwhile: on its start it asks the providers for what they have kept, and says plainly what is not kept any more. Exit code 1 if any of the jobs did not complete.',
  arguments: [
    { name: 'job', description: 'job id, its beginning, `latest`, or the name of a batch', isRequired: false },
  ],
  options,
  examples: [
    { line: 'fogproof job collect latest --output results', does: 'Wait for the newest job and write its files.' },
    { line: 'fogproof job collect sweep --output results', does: 'The same for a batch.' },
    { line: 'fogproof job collect --all --output results', does: 'All that was left running, and what ended lately.' },
  ],
  run: async ({ arguments: [text], options: given }, context): Promise<ExitCode> => {
    if ((text === undefined) !== given.all) {
      throw new UsageError('name one job or batch, or say --all', 'For the newest job: `fogproof job collect latest`.');
    }
    await using client = await context.connect();
    const collection = { client, context, options: given };
    if (text === undefined) return await collectAll(collection);
    const target = await resolveTarget(client, text, context.signal);
    return target.kind === 'batch'
      ? await collectBatch(collection, target.batch)
      : await collectOne(collection, target.job);
  },
});

async function collectOne(collection: Collection, job: JobId): Promise<ExitCode> {
  const { context, options: given } = collection;
  const { output } = context;
  const view = await awaitEnd(collection, job);
  const directory = given.output === undefined ? undefined : resolve(context.workingDirectory, given.output);
  const collected = await keep(collection, view, directory);
  output.result(describe(collected), () => renderCollected(collected, Date.now()));
  return collected.problem === undefined ? exitCodeOf(view) : EXIT_CODES.failed;
}

async function awaitEnd({ client, context, options: given }: Collection, job: JobId): Promise<JobView> {
  const { output, signal } = context;
  const view = await client.call('job.show', { job }, { signal });
  if (given.noWait || view.endedAtMs !== null) return view;
  output.progress(`waiting for ${shortId(job)} (${renderState(view)}) …`);
  try {
    return await client.call('job.wait', { job }, { signal });
  } finally {
    output.progress('');
  }
}

async function keep({ client, context }: Collection, view: JobView, directory: string | undefined): Promise<Collected> {
  const { signal } = context;
  if (directory === undefined || view.result === null || view.result.outputs.length === 0) return { view, files: [] };
  try {
    const { files } = await client.call('job.writeOutputs', { job: view.job, directory }, { signal });
    return { view, files: files.map(({ path }) => path) };
  } catch (error) {
    signal.throwIfAborted();
    return { view, files: [], problem: describeError(error) };
  }
}

/** One after the other: what has ended is written while others still run. */
async function collectAll(collection: Collection): Promise<ExitCode> {
  const { client, context, options: given } = collection;
  const { output, signal, workingDirectory } = context;
  const sinceMs = parseDuration(given.since);
  if (sinceMs === undefined)
    throw new UsageError(`'${given.since}' is no duration`, 'Use a number with ms, s, m, h or d.');
  const { jobs } = await client.call('job.list', { limit: MOST_JOBS }, { signal });
  const oldestMs = Date.now() - sinceMs;
  const wanted = jobs.filter(({ endedAtMs }) => endedAtMs === null || endedAtMs >= oldestMs);
  const ended: Collected[] = [];
  for (const { job } of wanted.toSorted((a, b) => Number(a.endedAtMs === null) - Number(b.endedAtMs === null))) {
    const view = await awaitEnd(collection, job);
    const directory = given.output === undefined ? undefined : resolve(workingDirectory, join(given.output, job));
    const collected = await keep(collection, view, directory);
    ended.push(collected);
    output.item(describe(collected), renderCollected(collected, Date.now()).join('\n'));
  }
  if (ended.length === 0) output.note(`no job has been active or has ended in the last ${given.since}`);
  const failed = ended.filter(({ view, problem }) => exitCodeOf(view) !== EXIT_CODES.ok || problem !== undefined);
  return failed.length === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
}

async function collectBatch(collection: Collection, batch: ShownBatch['batch']): Promise<ExitCode> {
  const { client, context, options: given } = collection;
  const { output, signal, workingDirectory } = context;
  const until = given.noWait ? () => true : isQuiet;
  const view = await followBatch({ client, context }, batch, { until, signal });
  const directory = given.output === undefined ? undefined : resolve(workingDirectory, given.output);
  const written = directory === undefined ? undefined : await writeBatchResults({ client, context }, view, directory);
  output.result({ ...view, ...(written === undefined ? {} : { written }) }, () => [
    ...renderBatch(view, Date.now()),
    ...(written === undefined
      ? []
      : ['', `wrote the files of ${plural(written.jobs, 'job')} under ${written.directory}`]),
  ]);
  return exitCodeOfBatch(view);
}

function describe({ view, files, problem }: Collected): object {
  const { job, name, state, failure } = view;
  return { job, name, state, failure, files, ...(problem === undefined ? {} : { problem }) };
}

function renderCollected({ view, files, problem }: Collected, nowMs: number): string[] {
  const when = view.endedAtMs === null ? '' : `, ${formatWhen(view.endedAtMs, nowMs)}`;
  return [
    `${shortId(view.job)}  ${view.name}: ${renderState(view)}${when}`,
    ...(view.failure === null ? [] : [`  ${view.failure.code}: ${view.failure.message}`]),
    ...listUnkept(view),
    ...files.map((path) => `  wrote ${path}`),
    ...(problem === undefined ? [] : [`  its files were not written: ${problem}`]),
  ];
}

/** What a provider had finished, or may have, and does not have any more. */
function listUnkept({ attempts, result }: JobView): string[] {
  if (result !== null) return [];
  return attempts.flatMap(({ reason }) => (reason?.startsWith('RESULT_NOT_KEPT') === true ? [`  ${reason}`] : []));
}
