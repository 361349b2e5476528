import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { addFiles } from '../../src/cli/job/submit-plan.ts';
import { loadJobFile } from '../../src/cli/job-file/load-job-file.ts';
import { type JobId, UnixMs } from '../../src/domain/ids.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { JobDraft, JobView } from '../../src/scheduler/interface.ts';
import type { Mesh, MeshNode } from '../../test/support/mesh.ts';
import { writeSteppingJob } from '../crash-stepping/jobs.ts';

/** What is done over and over, and how often it was. */
export const TASKS = {
  small: 'small jobs, each waited for',
  batch: 'batches of 100 small jobs',
  stepping: 'jobs with checkpoints, paused and gone on with',
  blobs: 'jobs with a new input of 3 MiB, and its output read back',
  cancel: 'jobs cancelled while they run',
} as const;
export type Task = keyof typeof TASKS;

const BATCH_JOBS = 100;
const INPUT_BYTES = 3 * 2 ** 20;
export type Pauses = Readonly<Partial<Record<Task, number>>>;

/** Between two of a kind, ms: steady, and less than two cores can do. A kind without one is not done. */
const PAUSES_MS: Pauses = {
  small: 100,
  batch: 4_000,
  stepping: 2_000,
  blobs: 2_000,
  cancel: 3_000,
};
const STATE_TIMEOUT_MS = 60_000;

export interface LoadCounts {
  readonly byTask: Record<Task, number>;
  readonly byState: Record<string, number>;
  readonly problems: string[];
}

/** A steady mix of work for one requester, until it is told to end; every job that it was told of is remembered. */
export class Load {
  readonly acknowledged: JobId[] = [];
  readonly counts: LoadCounts = {
    byTask: { small: 0, batch: 0, stepping: 0, blobs: 0, cancel: 0 },
    byState: {},
    problems: [],
  };
  readonly #mesh: Mesh;
  readonly #requester: MeshNode;
  readonly #draw: (below: number) => number;
  readonly #pausesMs: Pauses;
  #ending = new AbortController();
  #loops: readonly Promise<void>[] = [];
  #drafts: { readonly hello: JobDraft; readonly short: JobDraft; readonly long: JobDraft } | undefined;
  /** From now to its deadline, of each draft when it was made, ms: jobs of one draft are submitted over hours. */
  readonly #livesMs = new WeakMap<JobDraft, number>();
  #number = 0;

  constructor(mesh: Mesh, requester: MeshNode, draw: (below: number) => number, pausesMs: Pauses = PAUSES_MS) {
    this.#mesh = mesh;
    this.#requester = requester;
    this.#draw = draw;
    this.#pausesMs = pausesMs;
  }

  /** Gives the requester the files of all jobs. */
  async prepare(): Promise<void> {
    const hello = await this.#draft(
      await this.#mesh.writeJob('hello', `${this.#requester.name}-small`, (text) => `${text}retries: 16\n`),
    );
    this.#drafts = {
      hello,
      short: await this.#draftIsing(`${this.#requester.name}-short`, 800),
      long: await this.#draftIsing(`${this.#requester.name}-long`, 100_000),
    };
  }

  /** After `prepare`; again after `stop`. */
  start(): void {
    if (this.#drafts === undefined) throw new TypeError('it was not prepared');
    const { hello, short, long } = this.#drafts;
    this.#ending = new AbortController();
    const work: Readonly<Record<Task, () => Promise<void>>> = {
      small: () => this.#runSmall(hello),
      batch: () => this.#runBatch(hello),
      stepping: () => this.#runStepping(short),
      blobs: () => this.#runBlobs(),
      cancel: () => this.#runCancelled(long),
    };
    this.#loops = Object.entries(this.#pausesMs).map(([task, pauseMs]) => this.#repeat(task as Task, pauseMs, work));
  }

  /** Resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#loops);
  }

  async #repeat(task: Task, pauseMs: number, work: Readonly<Record<Task, () => Promise<void>>>): Promise<void> {
    while (!this.#ending.signal.aborted) {
      try {
        await work[task]();
        this.counts.byTask[task] += 1;
      } catch (error) {
        this.counts.problems.push(`${TASKS[task]}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(pauseMs / 2 + this.#draw(pauseMs), undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  get #client() {
    return this.#requester.client;
  }

  #renew(draft: JobDraft): JobDraft {
    return { ...draft, deadlineMs: UnixMs(Date.now() + (this.#livesMs.get(draft) ?? 0)) };
  }

  async #submit(draft: JobDraft): Promise<JobId> {
    const { job } = await this.#client.call('job.submit', { draft: this.#renew(draft) });
    this.acknowledged.push(job);
    return job;
  }

  async #expect(job: JobId, state: JobView['state']): Promise<JobView> {
    const view = await this.#client.call('job.wait', { job });
    this.counts.byState[view.state] = (this.counts.byState[view.state] ?? 0) + 1;
    if (view.state !== state)
      this.counts.problems.push(`${view.name} ${job} ended as ${view.state}: ${describe(view)}`);
    return view;
  }

  async #runSmall(draft: JobDraft): Promise<void> {
    await this.#expect(await this.#submit(draft), 'completed');
  }

  async #runBatch(draft: JobDraft): Promise<void> {
    const drafts = Array<JobDraft>(BATCH_JOBS).fill(this.#renew(draft));
    const { jobs } = await this.#client.call('job.submitMany', { drafts });
    this.acknowledged.push(...jobs);
    await Promise.all(jobs.map((job) => this.#expect(job, 'completed')));
  }

  async #runStepping(draft: JobDraft): Promise<void> {
    const job = await this.#submit(draft);
    await sleep(200 + this.#draw(800));
    try {
      await this.#client.call('job.pause', { job });
      await this.#until(job, (state) => state === 'paused');
      await this.#client.call('job.resume', { job });
    } catch (error) {
      // It ended before it was paused.
      if ((await this.#client.call('job.show', { job })).endedAtMs === null) throw error;
    }
    await this.#expect(job, 'completed');
  }

  async #runBlobs(): Promise<void> {
    const number = this.#number++;
    const name = `${this.#requester.name}-inputs`;
    const folder = this.#mesh.stage.path(name);
    await mkdir(folder, { recursive: true });
    const input = join(folder, `${number % 4}.bin`);
    await writeFile(input, randomBytes(INPUT_BYTES));
    const file = await this.#mesh.writeJob('hello', `${name}-${number % 4}`, (text) =>
      enlarge(text).concat(`retries: 16\ninputs: { /data.bin: ${input} }\n`),
    );
    const { job, result } = await this.#expect(await this.#submit(await this.#draft(file)), 'completed');
    if (result === null) return;
    const directory = join(folder, `out-${number}`);
    await this.#client.call('job.writeOutputs', { job, directory });
    await rm(directory, { recursive: true, force: true });
  }

  async #runCancelled(draft: JobDraft): Promise<void> {
    const job = await this.#submit(draft);
    await sleep(500 + this.#draw(2_000));
    await this.#client.call('job.cancel', { job });
    await this.#expect(job, 'cancelled');
  }

  async #until(job: JobId, isSo: (state: JobView['state']) => boolean): Promise<void> {
    await this.#mesh.until(`${job} is as it was asked to be`, STATE_TIMEOUT_MS, async () => {
      const { state, endedAtMs } = await this.#client.call('job.show', { job });
      return isSo(state) || endedAtMs !== null;
    });
  }

  async #draftIsing(name: string, sweeps: number): Promise<JobDraft> {
    const file = await writeSteppingJob(this.#mesh.stage.path(name), {
      name,
      example: 'ising',
      module: 'ising.wasm',
      inputs: { '/settings.txt': `256 2.0 ${sweeps}\n` },
      everySteps: 50,
    });
    return await this.#draft(file);
  }

  async #draft(file: string): Promise<JobDraft> {
    const plan = await loadJobFile(file, { nowMs: Date.now(), random: new SystemRandom() });
    const draft = await addFiles(this.#client, plan, AbortSignal.timeout(30_000));
    this.#livesMs.set(draft, draft.deadlineMs - Date.now());
    return draft;
  }
}

/** Room for the input, which the program gives back. */
const enlarge = (text: string): string =>
  text
    .replace('memory: 16MiB', 'memory: 64MiB')
    .replace('fuel: 1M', 'fuel: 1G')
    .replace('output: 1MiB', 'output: 8MiB');

function describe({ failure, attempts, result }: JobView): string {
  if (result?.outcome.kind === 'program-failed') return `${result.outcome.code}: ${result.outcome.detail}`;
  return failure?.message ?? attempts.at(-1)?.reason ?? 'no reason';
}
