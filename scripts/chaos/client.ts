/** Clients of the requesters: they submit, pause, cancel and wait, and repeat what a fault took from under them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobId, JobId, PeerKey } from '../../src/domain/ids.ts';
import { JobBatchId } from '../../src/domain/job-batch.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { JsonForm } from '../../src/rpc/json-form.ts';
import type { JobDraft, JobView } from '../../src/scheduler/interface.ts';
import { type Outcome, readOutcome } from '../crash-stepping/outcome.ts';
import { type Asking, attempt, POLL_MS, retry } from './asking.ts';
import { reviewBatch, submitWithPlaces } from './batches.ts';
import type { ClientJournal } from './client-journal.ts';
import { draftJob, type FileName, type JobKind } from './jobs.ts';
import { shareBlob, unshareBlob } from './public-blob.ts';
import { openOutcome } from './sealed-outputs.ts';

export type ShownJob = JsonForm<JobView>;

export interface ClientModules extends Asking {
  readonly journal: ClientJournal;
  readonly files: Readonly<Record<FileName, string>>;
  /** What is to be made of the large input; null where it is that of all. */
  readonly output: BlobId | null;
  readonly holder: PeerKey;
  /** JSON of the policy of confidential jobs. */
  readonly policy: string;
  /** Folder for opened outputs of confidential jobs. */
  readonly openedFolder: string;
  /** Of jobs of several replicas, ms. */
  readonly replicasLastMs: number;
  readonly onFinding: (problem: string) => void;
  readonly onView?: (view: ShownJob) => void;
}

export interface EndedJob {
  readonly view: ShownJob;
  readonly outcome: Outcome;
  readonly explanation: string;
}

export interface Submitted {
  readonly jobs: readonly JobId[];
  /** Of those with places. */
  readonly batch: JobBatchId | null;
  /** Public while the jobs live. */
  readonly shared: BlobId | null;
}

/** Submits once, as a single job or a batch; resolves with what is written down. */
export async function submit(kind: JobKind, modules: ClientModules): Promise<Submitted> {
  const { node, journal, output } = modules;
  const shared = kind.sharesBlob ? await shareBlob(modules) : null;
  const batch = kind.hasPlaces ? JobBatchId(`chaos-${randomUUID()}`) : null;
  const firstMs = Date.now();
  const jobs = await retry(modules, async (client) => {
    // A place keeps the job of a call whose answer was lost; any other job of such a call is acknowledged to nobody.
    const sinceMs = batch === null ? Date.now() : firstMs;
    const draft = await prepareDraft(kind, client, modules);
    const acknowledged = await submitDrafts(client, { draft, count: kind.count, batch });
    for (const job of acknowledged) journal.write({ job, kind: kind.name, requester: node.name, output, sinceMs });
    return acknowledged;
  });
  return { jobs, batch, shared };
}

/** Once all of them have ended. */
export async function settle({ jobs, batch, shared }: Submitted, modules: ClientModules): Promise<void> {
  if (batch !== null) await reviewBatch(batch, jobs, modules);
  if (shared !== null) await unshareBlob(shared, modules);
}

async function prepareDraft(kind: JobKind, client: RpcClient, modules: ClientModules): Promise<JobDraft> {
  const { node, files, holder, replicasLastMs, policy } = modules;
  const module = await client.call('blob.add', { path: files[kind.module] });
  const isSecret = kind.isConfidential;
  const input = kind.hasBlob
    ? await client.call('blob.add', { path: files.input })
    : isSecret
      ? await client.call('blob.add', { path: files.secret, private: true })
      : null;
  return draftJob(kind, { module, input, holder, policy, replicasLastMs, nowMs: Date.now() + node.ageMs });
}

async function submitDrafts(
  client: RpcClient,
  { draft, count, batch }: { readonly draft: JobDraft; readonly count: number; readonly batch: JobBatchId | null },
): Promise<readonly JobId[]> {
  const drafts = Array.from({ length: count }, () => draft);
  if (batch !== null) return await submitWithPlaces(client, batch, drafts);
  if (drafts.length > 1) return (await client.call('job.submitMany', { drafts })).jobs;
  return [(await client.call('job.submit', { draft })).job];
}

/** Treats the job as its kind says and resolves when it has ended. */
export async function follow(job: JobId, kind: JobKind, modules: ClientModules): Promise<EndedJob> {
  if (kind.treatment !== 'leave') await untilRunning(job, modules);
  if (kind.treatment === 'cancel') await attempt(modules, REFUSALS, (client) => client.call('job.cancel', { job }));
  if (kind.treatment === 'pause') await pauseAndResume(job, modules);
  const view = await untilView(job, modules, ({ endedAtMs }) => endedAtMs !== null);
  const outcome = await retry(modules, (client) => readOutcome(client, job));
  const explained = await retry(modules, (client) => client.call('job.explain', { job }));
  const opened = kind.isConfidential ? await openOutcome(outcome, view, modules) : outcome;
  return { view, outcome: opened, explanation: explained.summary };
}

async function untilRunning(job: JobId, modules: ClientModules): Promise<void> {
  await untilView(job, modules, ({ attempts, endedAtMs }) => {
    return endedAtMs !== null || attempts.some(({ progress }) => progress !== null && progress.step > 0);
  });
}

async function pauseAndResume(job: JobId, modules: ClientModules): Promise<void> {
  await attempt(modules, REFUSALS, (client) => client.call('job.pause', { job }));
  await untilView(job, modules, ({ state, endedAtMs, desired }) => {
    return state === 'paused' || endedAtMs !== null || desired === 'run';
  });
  await attempt(modules, REFUSALS, (client) => client.call('job.resume', { job }));
}

async function untilView(job: JobId, modules: ClientModules, isSo: (view: ShownJob) => boolean): Promise<ShownJob> {
  for (;;) {
    const view = await retry(modules, (client) => client.call('job.show', { job }));
    modules.onView?.(view);
    if (isSo(view)) return view;
    await sleep(POLL_MS, undefined, { signal: modules.signal });
  }
}

/** The job may have ended in between. */
const REFUSALS: ReadonlySet<string> = new Set(['SCHEDULER_JOB_ENDED', 'SCHEDULER_NOT_PAUSABLE']);
