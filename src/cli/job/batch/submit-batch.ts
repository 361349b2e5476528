import { setTimeout as sleep } from 'node:timers/promises';
import { BlobId } from '../../../domain/ids.ts';
import { JobBatchId } from '../../../domain/job-batch.ts';
import { isDaemonError, UsageError } from '../../../lib/errors.ts';
import { SystemRandom } from '../../../lib/random.ts';
import type { RpcClient } from '../../../rpc/client.ts';
import type { BatchEntry, JobDraft } from '../../../scheduler/interface.ts';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.ts';
import { formatWhen, plural } from '../../format.ts';
import type { CliContext } from '../../interface.ts';
import { expandBatch } from '../../job-file/batch/expand-batch.ts';
import type { AddedBlob, JobPlan, OpenedJobFile } from '../../job-file/interface.ts';
import type { PlanContext } from '../../job-file/load-job-file.ts';
import { type FolderContents, placeFolders } from '../../job-file/place-folders.ts';
import { completeDraft } from '../../job-file/resolve-job-file.ts';
import { addFile, listFolders } from '../submit-plan.ts';
import { BatchDigest } from './digest-batch.ts';
import { followBatch } from './follow-batch.ts';
import { exitCodeOfBatch, renderBatch, type ShownBatch } from './render-batch.ts';
import { renderSurvey, surveyBatch } from './survey-batch.ts';
import { writeBatchResults } from './write-batch-results.ts';

/** Jobs, and characters of their drafts, in one request at most. */
const CHUNK_JOBS = 256;
const CHUNK_CHARS = 4 * 1024 * 1024;
/** Chunks that are under way at a time. */
const CHUNKS_IN_FLIGHT = 2;
/** Where the daemon has no room for more jobs it is asked again after this long, ms. */
const ROOM_WAIT_MS = 1_000;
/** Hex digits of the digest that name a batch. */
const ID_DIGITS = 20;

export interface BatchSubmission {
  readonly file: OpenedJobFile;
  readonly detach: boolean;
  /** Its name; else it is made of what the jobs are. */
  readonly batch?: string | undefined;
  /** Absolute folder. */
  readonly directory?: string | undefined;
}

interface Run {
  readonly client: RpcClient;
  readonly context: CliContext;
  readonly plans: PlanContext;
  readonly file: OpenedJobFile;
  readonly added: ReadonlyMap<string, AddedBlob>;
  readonly folders: FolderContents;
}

/** Submits what is not yet submitted of a batch, follows it and writes its results. */
export async function submitBatch(submission: BatchSubmission, context: CliContext): Promise<ExitCode> {
  const { file } = submission;
  const { output, signal } = context;
  const plans = { nowMs: Date.now(), random: new SystemRandom() };
  const survey = await surveyBatch(file, plans);
  for (const line of renderSurvey(survey, file.jobFile.name, plans.nowMs)) output.note(line);
  await using client = await context.connect();
  const folders = await listFolders(client, namedFolders(file), signal);
  const added = new Map<string, AddedBlob>();
  for (const path of survey.files.keys()) {
    output.progress(`adding files … ${added.size} of ${survey.files.size}`);
    added.set(path, await addFile(client, path, { isPrivate: file.jobFile.private, signal }));
  }
  const run = { client, context, plans, file, added, folders };
  const opened = await openBatch(run, submission, survey.size);
  noteKnown(opened, { output, nowMs: plans.nowMs });
  return submission.detach ? await detach(run, opened) : await runToEnd(run, opened, submission.directory);
}

async function openBatch(run: Run, { batch }: BatchSubmission, size: number): Promise<ShownBatch> {
  const { client, context, file } = run;
  const digest = await digestBatch(run);
  const id = nameBatch(batch ?? `b-${digest.slice(0, ID_DIGITS)}`);
  const name = file.jobFile.name.slice(0, 100);
  return await client.call('batch.open', { batch: id, name, size, digest }, { signal: context.signal });
}

function nameBatch(text: string): JobBatchId {
  try {
    return JobBatchId(text);
  } catch {
    throw new UsageError(
      `'${text}' cannot name a batch`,
      'Use 1 to 64 of a-z, 0-9, dot, dash and underscore; not `latest`, and nothing that begins like a job id.',
    );
  }
}

/** Variables stand in paths only, so all jobs of the batch name the same folders of the node. */
function namedFolders({ jobFile }: OpenedJobFile): readonly BlobId[] {
  return Object.values(jobFile.inputs).flatMap((source) => {
    return typeof source === 'object' && 'folder' in source ? [BlobId(source.folder)] : [];
  });
}

function draftOf({ added, folders }: Run, plan: JobPlan): JobDraft {
  return completeDraft(placeFolders(plan, folders), added);
}

async function digestBatch(run: Run): Promise<string> {
  const { file, plans } = run;
  const digest = new BatchDigest();
  for await (const item of expandBatch(file, plans)) {
    digest.add(item, draftOf(run, item.plan), plans.nowMs);
  }
  return digest.end();
}

/** Whoever submits a file again goes on with its batch, and has to know that nothing runs twice. */
function noteKnown(
  { batch, size, submitted, createdAtMs }: ShownBatch,
  { output, nowMs }: { readonly output: CliContext['output']; readonly nowMs: number },
): void {
  output.note(`batch      ${batch}`);
  if (submitted === 0) return;
  const when = formatWhen(createdAtMs, nowMs);
  output.note(
    submitted === size
      ? `all its jobs were submitted before (begun ${when}): nothing is submitted again. For another run of the same jobs, give it a name with --batch.`
      : `${submitted} of its ${size} jobs were submitted before (begun ${when}): the rest follows`,
  );
}

async function detach(run: Run, opened: ShownBatch): Promise<ExitCode> {
  const { client, context } = run;
  await submitAll(run, opened);
  const view = await client.call('batch.show', { batch: opened.batch as never }, { signal: context.signal });
  context.output.progress('');
  context.output.result(view, () => [view.batch]);
  context.output.note(`collect it with: fogproof job collect ${view.batch} --output DIR`);
  return EXIT_CODES.ok;
}

async function runToEnd(run: Run, opened: ShownBatch, directory: string | undefined): Promise<ExitCode> {
  const { client, context } = run;
  const { output, signal } = context;
  const failed = new AbortController();
  const following = followBatch({ client, context }, opened.batch, {
    until: ({ endedAtMs }) => endedAtMs !== null,
    signal: AbortSignal.any([signal, failed.signal]),
  });
  following.catch(() => undefined);
  try {
    await submitAll(run, opened);
    const view = await following;
    const written = directory === undefined ? undefined : await writeBatchResults(run, view, directory);
    output.result({ ...view, ...(written === undefined ? {} : { written }) }, () => [
      ...renderBatch(view, Date.now()),
      ...(written === undefined
        ? []
        : ['', `wrote the files of ${plural(written.jobs, 'job')} under ${written.directory}`]),
    ]);
    return exitCodeOfBatch(view);
  } catch (error) {
    if (signal.aborted) {
      output.note(`batch ${opened.batch} goes on as far as it was submitted; the same command goes on with it`);
    }
    throw error;
  } finally {
    failed.abort();
  }
}

/** In chunks; places that have a job already keep it. */
async function submitAll(run: Run, opened: ShownBatch): Promise<void> {
  const { client, context, plans, file } = run;
  if (opened.submitted === opened.size || opened.cancelledAtMs !== null) return await refuseCancelled(opened);
  const { signal } = context;
  const sending: Promise<void>[] = [];
  let chunk: BatchEntry[] = [];
  let chars = 0;
  const send = async (): Promise<void> => {
    const sent = sendChunk(client, { batch: opened.batch, jobs: chunk }, signal);
    // It is awaited later; until then a rejection is not unhandled.
    sent.catch(() => undefined);
    sending.push(sent);
    [chunk, chars] = [[], 0];
    if (sending.length >= CHUNKS_IN_FLIGHT) await sending.shift();
  };
  for await (const { index, plan } of expandBatch(file, plans)) {
    const draft = draftOf(run, plan);
    chunk.push({ index, draft });
    chars += JSON.stringify(draft).length;
    if (chunk.length >= CHUNK_JOBS || chars >= CHUNK_CHARS) await send();
  }
  if (chunk.length > 0) await send();
  await Promise.all(sending);
}

/** The daemon says why, with what to do. */
async function refuseCancelled({ cancelledAtMs, batch, submitted, size }: ShownBatch): Promise<void> {
  if (cancelledAtMs === null || submitted === size) return;
  throw new UsageError(
    `batch ${batch} was cancelled and takes no more jobs`,
    'Submit it under another name with --batch.',
  );
}

async function sendChunk(
  client: RpcClient,
  { batch, jobs }: { readonly batch: string; readonly jobs: readonly BatchEntry[] },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await client.call('batch.submit', { batch: batch as never, jobs }, { signal });
      return;
    } catch (error) {
      if (!isDaemonError(error) || error.code !== 'SCHEDULER_TOO_MANY_JOBS') throw error;
      await sleep(ROOM_WAIT_MS, undefined, { signal });
    }
  }
}
