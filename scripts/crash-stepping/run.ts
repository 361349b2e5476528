import { setTimeout as sleep } from 'node:timers/promises';
import type { JobId } from '../../src/domain/ids.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../../test/support/mesh.ts';
import { seededRandom } from '../crash-anchoring/leaves.ts';
import { STEPPING_JOBS, type SteppingJob, writeSteppingJob } from './jobs.ts';
import { compareOutcomes, type Outcome, readOutcome } from './outcome.ts';

export interface SteppingRunOptions {
  readonly points: number;
  readonly seed: number;
  readonly onProgress?: (report: SteppingReport) => void;
}

/** How a running job is disturbed. */
export const DISTURBANCES = {
  pause: 'paused, then resumed',
  'kill provider': 'provider killed and started again within the lease',
  'lose provider': 'provider killed, started again after its lease',
  'stop provider': 'provider stopped in order and started again',
  'kill requester': 'requester killed and started again',
} as const;
export type Disturbance = keyof typeof DISTURBANCES;

export interface SteppingReport {
  readonly seed: number;
  /** Jobs hit, once for each job that ran or was paused at that moment. */
  points: number;
  readonly byKind: Record<Disturbance, number>;
  jobs: number;
  readonly jobsByName: Record<string, number>;
  attempts: number;
  resumedAttempts: number;
  comparedRoots: number;
  seconds: number;
  readonly faults: string[];
}

const PROVIDERS = ['ada', 'berta', 'clara'] as const;
const LEASE = '3s';
const AFTER_LEASE_MS = 4_500;
const CONCURRENT_JOBS = 4;
const POLL_MS = 50;
const JOB_TIMEOUT_MS = 300_000;

interface RunningJob {
  readonly kind: SteppingJob;
  readonly id: JobId;
  points: number;
}

/** Runs jobs on four daemons and disturbs them at random moments, until there were enough; then compares. */
export async function runSteppingFaults(options: SteppingRunOptions): Promise<SteppingReport> {
  const run = await SteppingRun.open(options);
  await using _closing = run;
  return await run.execute();
}

class SteppingRun implements AsyncDisposable {
  readonly #mesh: Mesh;
  readonly #options: SteppingRunOptions;
  readonly #draw: (below: number) => number;
  readonly #report: SteppingReport;
  readonly #nodes = new Map<string, MeshNode>();
  readonly #files = new Map<string, string>();
  readonly #expected = new Map<string, Outcome>();
  readonly #running: RunningJob[] = [];
  readonly #startedAtMs = performance.now();

  private constructor(mesh: Mesh, options: SteppingRunOptions) {
    this.#mesh = mesh;
    this.#options = options;
    this.#draw = seededRandom(options.seed);
    this.#report = {
      seed: options.seed,
      points: 0,
      byKind: { pause: 0, 'kill provider': 0, 'lose provider': 0, 'stop provider': 0, 'kill requester': 0 },
      jobs: 0,
      jobsByName: Object.fromEntries(STEPPING_JOBS.map(({ name }) => [name, 0])),
      attempts: 0,
      resumedAttempts: 0,
      comparedRoots: 0,
      seconds: 0,
      faults: [],
    };
  }

  static async open(options: SteppingRunOptions): Promise<SteppingRun> {
    const mesh = await Mesh.open({ lease: LEASE, renewal: '500ms' }, new AbortController().signal);
    return new SteppingRun(mesh, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mesh[Symbol.asyncDispose]();
  }

  get #requester(): MeshNode {
    return this.#node('requester');
  }

  #node(name: string): MeshNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new TypeError(`no node ${name}`);
    return node;
  }

  async execute(): Promise<SteppingReport> {
    this.#nodes.set('requester', await this.#mesh.addNode('requester', ['--no-provide']));
    for (const name of PROVIDERS) this.#nodes.set(name, await this.#mesh.addNode(name));
    await this.#mesh.untilProviders(this.#requester, PROVIDERS.length);
    await this.#runUndisturbed();
    while (this.#report.points < this.#options.points) {
      while (this.#running.length < CONCURRENT_JOBS) await this.#submit();
      await sleep(20 + this.#draw(280));
      await this.#disturb();
      await this.#collect();
    }
    while (this.#running.length > 0) {
      await sleep(POLL_MS);
      await this.#collect();
    }
    return this.#report;
  }

  async #runUndisturbed(): Promise<void> {
    for (const job of STEPPING_JOBS) {
      this.#files.set(job.name, await writeSteppingJob(this.#mesh.stage.path(job.name), job));
      const view = await this.#mesh.submit(this.#requester, this.#fileOf(job));
      const ended = await this.#mesh.wait(this.#requester, view);
      if (ended.state !== 'completed') throw new Error(`${job.name} ended as ${ended.state} undisturbed`);
      this.#expected.set(job.name, await readOutcome(this.#requester.client, view.job));
    }
  }

  #fileOf(job: SteppingJob): string {
    return this.#files.get(job.name) ?? '';
  }

  async #submit(): Promise<void> {
    const kind = STEPPING_JOBS[this.#draw(STEPPING_JOBS.length)];
    if (kind === undefined) return;
    const view = await this.#mesh.submit(this.#requester, this.#fileOf(kind));
    this.#running.push({ kind, id: view.job, points: 0 });
  }

  async #show({ id }: RunningJob): Promise<JobView> {
    return await this.#requester.client.call('job.show', { job: id });
  }

  /** Takes the jobs that have ended off the list, and compares each with an undisturbed run. */
  async #collect(): Promise<void> {
    for (const job of this.#running.slice()) {
      const view = await this.#show(job);
      if (view.endedAtMs === null) continue;
      this.#running.splice(this.#running.indexOf(job), 1);
      const expected = this.#expected.get(job.kind.name);
      const found = await readOutcome(this.#requester.client, job.id);
      const report = this.#report;
      report.jobs += 1;
      report.jobsByName[job.kind.name] = (report.jobsByName[job.kind.name] ?? 0) + 1;
      report.attempts += found.attempts;
      report.resumedAttempts += found.resumedAttempts;
      report.comparedRoots += found.roots.size;
      report.seconds = (performance.now() - this.#startedAtMs) / 1000;
      const faults = expected === undefined ? ['nothing to compare with'] : compareOutcomes(expected, found);
      for (const fault of faults) report.faults.push(`${job.kind.name} ${job.id} (${job.points} points): ${fault}`);
      this.#options.onProgress?.(report);
    }
  }

  async #disturb(): Promise<void> {
    const target = this.#running[this.#draw(this.#running.length)];
    if (target === undefined) return;
    const draw = this.#draw(20);
    if (draw < 3) return await this.#pause(target);
    if (draw < 13) return await this.#pauseAll();
    if (draw < 16) return await this.#hitProvider(target, 'kill provider');
    if (draw < 17) return await this.#hitProvider(target, 'stop provider');
    if (draw < 18) return await this.#hitProvider(target, 'lose provider');
    return await this.#hitRequester();
  }

  #count(kind: Disturbance, jobs: readonly RunningJob[]): void {
    for (const job of jobs) job.points += 1;
    this.#report.points += jobs.length;
    this.#report.byKind[kind] += jobs.length;
  }

  async #pause(job: RunningJob): Promise<void> {
    const { client } = this.#requester;
    if ((await this.#show(job)).endedAtMs !== null) return;
    try {
      await client.call('job.pause', { job: job.id });
    } catch {
      // It ended in between.
      return;
    }
    await this.#untilPaused(job);
    if ((await this.#show(job)).state !== 'paused') return;
    this.#count('pause', [job]);
    await sleep(this.#draw(100));
    await client.call('job.resume', { job: job.id });
  }

  async #untilPaused(job: RunningJob): Promise<void> {
    await this.#mesh.until(`${job.id} is paused`, JOB_TIMEOUT_MS, async () => {
      const { state, endedAtMs } = await this.#show(job);
      return state === 'paused' || endedAtMs !== null;
    });
  }

  async #pauseAll(): Promise<void> {
    await Promise.all(this.#running.map((job) => this.#pause(job)));
  }

  /** The jobs that stand on a node now. */
  async #findHit(peer: string): Promise<RunningJob[]> {
    const hit: RunningJob[] = [];
    for (const job of this.#running) {
      const { attempts, endedAtMs } = await this.#show(job);
      const stands = attempts.some(
        ({ provider, state }) => provider === peer && ['leased', 'queued', 'running', 'unreachable'].includes(state),
      );
      if (stands && endedAtMs === null) hit.push(job);
    }
    return hit;
  }

  async #hitProvider(job: RunningJob, kind: 'kill provider' | 'lose provider' | 'stop provider'): Promise<void> {
    const { attempts } = await this.#show(job);
    const peer = attempts.findLast(({ state }) => state === 'running')?.provider;
    const node = [...this.#nodes.values()].find(({ status }) => status.peer === peer);
    if (node === undefined || node.name === 'requester') return;
    const hit = await this.#findHit(node.status.peer);
    if (kind === 'stop provider') await this.#mesh.stop(node);
    else await this.#mesh.kill(node);
    this.#count(kind, hit);
    await sleep(kind === 'lose provider' ? AFTER_LEASE_MS : this.#draw(600));
    await this.#restart(node.name);
  }

  async #hitRequester(): Promise<void> {
    const running: RunningJob[] = [];
    for (const job of this.#running) if ((await this.#show(job)).endedAtMs === null) running.push(job);
    await this.#mesh.kill(this.#requester);
    this.#count('kill requester', running);
    await sleep(this.#draw(300));
    await this.#restart('requester');
  }

  /** With an address of another node that runs: its own bootstrap may be the one that was killed. */
  async #restart(name: string): Promise<void> {
    const others = [...this.#nodes].filter(([other]) => other !== name);
    const bootstrap = others.flatMap(([, { status }]) => ['--bootstrap', status.network.listen[0] ?? '']);
    const flags = name === 'requester' ? ['--no-provide', ...bootstrap] : bootstrap;
    const node = await this.#mesh.startNode(this.#node(name), flags);
    this.#nodes.set(name, node);
  }
}
