/** Clients of the requesters: they submit, pause, cancel and wait, and repeat what a fault took from under them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobId, JobId, PeerKey } from '../../src/domain/ids.ts';
import { isDaemonError } from '../../src/lib/errors.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { JsonForm } from '../../src/rpc/json-form.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { type Outcome, readOutcome } from '../crash-stepping/outcome.ts';
import type { ChaosNode } from './chaos-node.ts';
import type { ClientJournal } from './client-journal.ts';
import { draftJob, type JobKind, type ModuleName } from './jobs.ts';

export type ShownJob = JsonForm<JobView>;

const POLL_MS = 150;
/** A daemon that stands still does not answer, and its socket stays open. */
const CALL_TIMEOUT_MS = 10_000;

export interface ClientModules {
  readonly node: ChaosNode;
  readonly journal: ClientJournal;
  /** Files of the modules, and of the large input. */
  readonly files: Readonly<Record<ModuleName | 'input', string>>;
  /** What is to be made of the large input; null where it is that of all. */
  readonly output: BlobId | null;
  readonly holder: PeerKey;
  /** Of jobs of several replicas, ms. */
  readonly replicasLastMs: number;
  readonly onView?: (view: ShownJob, node: ChaosNode) => void;
  readonly signal: AbortSignal;
}

export interface EndedJob {
  readonly view: ShownJob;
  readonly outcome: Outcome;
  readonly explanation: string;
}

/** Submits once, as a single job or a batch; resolves with what is written down. */
export async function submit(kind: JobKind, modules: ClientModules): Promise<readonly JobId[]> {
  const { node, journal, files, holder, replicasLastMs, output } = modules;
  return await retry(modules, async (client) => {
    const module = await client.call('blob.add', { path: files[kind.module] });
    const input = kind.hasBlob ? await client.call('blob.add', { path: files.input }) : null;
    const draft = draftJob(kind, { module, input, holder, replicasLastMs, nowMs: Date.now() + node.ageMs });
    const drafts = Array.from({ length: kind.count }, () => draft);
    const jobs =
      drafts.length > 1
        ? (await client.call('job.submitMany', { drafts })).jobs
        : [(await client.call('job.submit', { draft })).job];
    for (const job of jobs) journal.write({ job, kind: kind.name, requester: node.name, output });
    return jobs;
  });
}

/** Treats the job as its kind says and resolves when it has ended. */
export async function follow(job: JobId, kind: JobKind, modules: ClientModules): Promise<EndedJob> {
  if (kind.treatment !== 'leave') await untilRunning(job, modules);
  if (kind.treatment === 'cancel') await attempt(modules, (client) => client.call('job.cancel', { job }));
  if (kind.treatment === 'pause') await pauseAndResume(job, modules);
  const view = await untilView(job, modules, ({ endedAtMs }) => endedAtMs !== null);
  const outcome = await retry(modules, (client) => readOutcome(client, job));
  const explained = await retry(modules, (client) => client.call('job.explain', { job }));
  return { view, outcome, explanation: explained.summary };
}

async function untilRunning(job: JobId, modules: ClientModules): Promise<void> {
  await untilView(job, modules, ({ attempts, endedAtMs }) => {
    return endedAtMs !== null || attempts.some(({ progress }) => progress !== null && progress.step > 0);
  });
}

async function pauseAndResume(job: JobId, modules: ClientModules): Promise<void> {
  await attempt(modules, (client) => client.call('job.pause', { job }));
  await untilView(job, modules, ({ state, endedAtMs, desired }) => {
    return state === 'paused' || endedAtMs !== null || desired === 'run';
  });
  await attempt(modules, (client) => client.call('job.resume', { job }));
}

async function untilView(job: JobId, modules: ClientModules, isSo: (view: ShownJob) => boolean): Promise<ShownJob> {
  for (;;) {
    const view = await retry(modules, (client) => client.call('job.show', { job }));
    modules.onView?.(view, modules.node);
    if (isSo(view)) return view;
    await sleep(POLL_MS, undefined, { signal: modules.signal });
  }
}

/** As `retry`, but an answer that refuses is an answer: the job may have ended in between. */
async function attempt(modules: ClientModules, call: (client: RpcClient) => Promise<unknown>): Promise<void> {
  try {
    await retry(modules, call);
  } catch (error) {
    if (!isDaemonError(error) || !REFUSALS.has(error.code)) throw error;
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['SCHEDULER_JOB_ENDED', 'SCHEDULER_NOT_PAUSABLE']);

/** Answers that say of the daemon's plight, not of what was asked: the same may be asked again. */
function mayAskAgain(error: unknown): boolean {
  if (error instanceof Error && error.name === 'TimeoutError') return true;
  if (!isDaemonError(error)) return false;
  // Its clock is minutes ahead: to it the deadline that was drafted by a right clock has passed.
  if (error.code === 'SCHEDULER_DEADLINE_PAST') return true;
  return error.retryable || error.code.startsWith('STORAGE_') || error.code.startsWith('BLOB_');
}

/** Until it is answered. @throws what an answer says that no repetition changes, the signal's reason */
async function retry<Result>(
  { node, signal }: ClientModules,
  call: (client: RpcClient) => Promise<Result>,
): Promise<Result> {
  for (;;) {
    signal.throwIfAborted();
    const { client } = node;
    try {
      if (client !== undefined) return await withDeadline(call(client));
    } catch (error) {
      if (!mayAskAgain(error)) throw error;
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function withDeadline<Result>(answer: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new DOMException('no answer', 'TimeoutError')), CALL_TIMEOUT_MS);
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}
