import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobId } from '../../src/domain/ids.ts';
import { Mesh, type MeshNode } from '../../test/support/mesh.ts';
import { checkHistories } from '../check-histories/check-histories.ts';
import type { HistoryReport } from '../check-histories/interface.ts';
import { seededRandom } from '../crash-anchoring/leaves.ts';
import { type Bound, churnBoundsFor, type Judgement, judgeFigure, judgeRest, type RestSample } from './judge.ts';
import { findLeftovers, listViolations } from './leftovers.ts';
import { Load, type Pauses } from './load.ts';
import { computeOtherwiseBusy, MOST_OTHERWISE_BUSY, readMachineTimes } from './machine.ts';
import { type Sample, takeRest, takeSample } from './sample.ts';
import { median } from './statistics.ts';

export interface ChurnOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Of all daemons, requesters included; 6 at least. */
  readonly daemons: number;
  /** A new or empty folder that keeps homes and logs; a temporary one if absent. */
  readonly keep?: string | undefined;
  readonly onProgress?: (line: string) => void;
}

/** What is done to a daemon that does not run all the time. */
export const DISTURBANCES = {
  restarted: 'stopped in order and started again',
  killed: 'killed and started again',
  replaced: 'gone for good, and one with a new identity came',
} as const;
export type Disturbance = keyof typeof DISTURBANCES;

export interface ChurnReport {
  readonly seed: number;
  readonly seconds: number;
  readonly daemons: number;
  readonly steady: readonly string[];
  readonly disturbances: Readonly<Record<Disturbance, number>>;
  readonly jobs: number;
  readonly byState: Readonly<Record<string, number>>;
  readonly judgements: readonly Judgement[];
  readonly samples: readonly Sample[];
  /** From process start to ready, of every start under load, ms. */
  readonly startsMs: readonly number[];
  /** Processor time of those that ran all the time, per cent of a core, each. */
  readonly processorPercents: readonly number[];
  /** Share of the machine that something else took; above a quarter no delay is judged. */
  readonly otherwiseBusy: number;
  /** Neighbours that a daemon had chosen: the median over time of those that ran all the time, each. */
  readonly neighbours: readonly number[];
  readonly histories: HistoryReport;
  /** Everything that is not as it has to be; empty for a good run. */
  readonly problems: readonly string[];
}

export const LEAST_DAEMONS = 6;
const REQUESTERS = 2;
/** Of the providers, those that run from beginning to end. */
const STEADY_SHARE = 0.4;
/** What each requester has done: with twenty daemons on two cores most of the time goes to those. */
const PAUSES_MS: Pauses = { small: 1_000, stepping: 15_000, blobs: 20_000, cancel: 20_000 };
/** Epochs of two minutes: neighbours are drawn anew again and again. */
const EPOCH = ['--beacon-round', '10s', '--epoch-rounds', '12'];
const LEASE = { lease: '8s', renewal: '2s' };

const SAMPLE_INTERVAL_MS = 5_000;
const DISTURBANCE_INTERVAL_MS = 15_000;
const DOWN_MS = 10_000;
/** The soak does not need a machine of its own: beside other work a start takes many times its processor time. */
const READY_TIMEOUT_MS = 120_000;
/** Until twenty daemons have met after their start, and after the load, ms. */
const REST_MS = 15_000;
/** Warm children end after a minute without work; what is there for longer than this after the load stays, ms. */
const TIDIED_WITHIN_MS = 90_000;
const SAMPLED_SHARE = 0.5;
/** Of the log of a daemon that could not be disturbed, in the report. */
const LOG_LINES = 5;
/** Of ten disturbances. */
const DRAWN: readonly Disturbance[] = [
  ...Array<Disturbance>(5).fill('restarted'),
  ...Array<Disturbance>(3).fill('killed'),
  ...Array<Disturbance>(2).fill('replaced'),
];

/** Many daemons under a light load, some of which come and go; those that stay are looked at all the time. */
export class ChurnSoak implements AsyncDisposable {
  readonly #mesh: Mesh;
  readonly #options: ChurnOptions;
  readonly #draw: (below: number) => number;
  /** Those that are up. */
  readonly #nodes = new Map<string, MeshNode>();
  /** All that ever were. */
  readonly #homes = new Map<string, string>();
  readonly #steady = new Set<string>();
  readonly #samples: Sample[] = [];
  readonly #counts: Record<Disturbance, number> = { restarted: 0, killed: 0, replaced: 0 };
  /** From process start to ready, of every start under load, ms. */
  readonly #startsMs: number[] = [];
  readonly #problems: string[] = [];
  #loads: readonly Load[] = [];
  #identities = 0;
  #rounds = 0;
  #beganAt = 0;
  #machineBefore = readMachineTimes();

  private constructor(mesh: Mesh, options: ChurnOptions) {
    this.#mesh = mesh;
    this.#options = options;
    this.#draw = seededRandom(options.seed);
  }

  static async open(options: ChurnOptions): Promise<ChurnSoak> {
    const mesh = await Mesh.open(
      { ...LEASE, flags: EPOCH, readyTimeoutMs: READY_TIMEOUT_MS, keep: options.keep },
      new AbortController().signal,
    );
    return new ChurnSoak(mesh, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mesh[Symbol.asyncDispose]();
  }

  async execute(): Promise<ChurnReport> {
    await this.#startAll();
    this.#loads = await Promise.all(
      [...this.#nodes.values()].slice(0, REQUESTERS).map(async (requester) => {
        const load = new Load(this.#mesh, requester, this.#draw, PAUSES_MS);
        await load.prepare();
        return load;
      }),
    );
    const before = await this.#rest();
    this.#beganAt = performance.now();
    this.#machineBefore = readMachineTimes();
    for (const load of this.#loads) load.start();
    await this.#disturbUntil(performance.now() + this.#options.seconds * 1_000);
    await Promise.all(this.#loads.map((load) => load.stop()));
    return await this.#conclude({ before, after: await this.#restAgain(before) });
  }

  /** Until they are as they were before, or should have been. */
  async #restAgain(before: readonly RestSample[]): Promise<readonly RestSample[]> {
    const untilMs = performance.now() + TIDIED_WITHIN_MS;
    for (;;) {
      const after = await this.#rest();
      if (judgeRest(before, after).length === 0 || performance.now() > untilMs) return after;
    }
  }

  async #startAll(): Promise<void> {
    const { daemons } = this.#options;
    const steadyProviders = Math.round((daemons - REQUESTERS) * STEADY_SHARE);
    // The first is whom all others meet first.
    for (let index = 0; index < daemons; index += 1) {
      const isRequester = index < REQUESTERS;
      const name = isRequester ? `requester-${index + 1}` : this.#nextName();
      if (index < REQUESTERS + steadyProviders) this.#steady.add(name);
      await this.#add(name, isRequester ? ['--no-provide'] : []);
      if (index % 5 === 4) this.#options.onProgress?.(`${index + 1} of ${daemons} daemons are up`);
    }
    const [requester] = this.#nodes.values();
    if (requester !== undefined) await this.#mesh.untilProviders(requester, LEAST_DAEMONS - REQUESTERS);
  }

  #nextName(): string {
    this.#identities += 1;
    return `node-${this.#identities}`;
  }

  async #add(name: string, flags: readonly string[] = []): Promise<void> {
    const node = await this.#mesh.addNode(name, flags);
    this.#nodes.set(name, node);
    this.#homes.set(name, node.home);
  }

  async #rest(): Promise<readonly RestSample[]> {
    await sleep(REST_MS);
    return await Promise.all(this.#listSteady().map(takeRest));
  }

  #listSteady(): readonly MeshNode[] {
    return [...this.#nodes.values()].filter(({ name }) => this.#steady.has(name));
  }

  get #seconds(): number {
    return (performance.now() - this.#beganAt) / 1_000;
  }

  async #disturbUntil(endAt: number): Promise<void> {
    let nextAt = performance.now() + DISTURBANCE_INTERVAL_MS;
    let disturbing: Promise<void> | null = null;
    while (performance.now() < endAt) {
      const startedAt = performance.now();
      await this.#sampleAll();
      const isDue = performance.now() >= nextAt && performance.now() + DISTURBANCE_INTERVAL_MS < endAt;
      // One at a time: beside other work a start takes longer than the interval.
      if (isDue && disturbing === null) {
        nextAt = performance.now() + DISTURBANCE_INTERVAL_MS;
        this.#options.onProgress?.(this.#describe());
        disturbing = this.#disturb().finally(() => {
          disturbing = null;
        });
      }
      await sleep(Math.max(0, SAMPLE_INTERVAL_MS - (performance.now() - startedAt)));
    }
    await disturbing;
  }

  async #sampleAll(): Promise<void> {
    for (const node of this.#nodes.values()) {
      const { exitCode, signalCode } = node.process;
      // Whom nobody ended: a rejection that nothing handles ends a daemon with exit code 1.
      if (exitCode !== null || signalCode !== null) {
        this.#problems.push(`${node.name} ended by itself with ${exitCode ?? signalCode}: see its log`);
        this.#nodes.delete(node.name);
      }
    }
    const taken = await Promise.all([...this.#nodes.values()].map((node) => takeSample(node, this.#seconds)));
    this.#rounds += 1;
    this.#samples.push(...taken.filter((sample) => sample !== undefined));
  }

  #describe(): string {
    const jobs = this.#loads.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
    const problems = this.#loads.reduce((sum, { counts }) => sum + counts.problems.length, this.#problems.length);
    const disturbed = Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
    return `${Math.round(this.#seconds)} s, ${this.#nodes.size} up, ${jobs} jobs, ${disturbed} disturbances, ${problems} problems`;
  }

  /** To one that is up and does not belong to those that stay. */
  async #disturb(): Promise<void> {
    const disturbed = [...this.#nodes.values()].filter(({ name }) => !this.#steady.has(name));
    const node = disturbed[this.#draw(disturbed.length)];
    const kind = DRAWN[this.#draw(DRAWN.length)];
    if (node === undefined || kind === undefined) return;
    this.#nodes.delete(node.name);
    const name = kind === 'replaced' ? this.#nextName() : node.name;
    try {
      if (kind === 'killed') await this.#mesh.kill(node);
      else await this.#stop(node);
      this.#counts[kind] += 1;
      await sleep(this.#draw(DOWN_MS));
      if (kind === 'replaced') await this.#add(name);
      else this.#nodes.set(name, await this.#mesh.startNode(node));
      this.#startsMs.push(this.#nodes.get(name)?.status.readyAfterMs ?? Number.NaN);
    } catch (error) {
      this.#problems.push(`at ${Math.round(this.#seconds)} s ${name} (${kind}): ${await this.#explain(name, error)}`);
    }
  }

  /** What went wrong, and what the daemon said last. */
  async #explain(name: string, error: unknown): Promise<string> {
    const log = await readFile(this.#mesh.stage.path(`${name}.log`), 'utf8').catch(() => '');
    const last = log.trim().split('\n').slice(-LOG_LINES).join(' | ');
    return `${error instanceof Error ? error.message : String(error)}; its log ends with: ${last}`;
  }

  async #stop(node: MeshNode): Promise<void> {
    try {
      const exitCode = await this.#mesh.stop(node);
      if (exitCode !== 0) this.#problems.push(`${node.name} stopped with exit code ${exitCode}`);
    } catch (error) {
      this.#problems.push(`${node.name} could not be stopped: ${await this.#explain(node.name, error)}`);
      const { exitCode, signalCode } = node.process;
      if (exitCode === null && signalCode === null) await this.#mesh.kill(node);
    }
  }

  async #conclude(rest: {
    readonly before: readonly RestSample[];
    readonly after: readonly RestSample[];
  }): Promise<ChurnReport> {
    const seconds = this.#seconds;
    const otherwiseBusy = computeOtherwiseBusy(
      { before: this.#machineBefore, after: readMachineTimes() },
      this.#samples,
    );
    for (const node of this.#nodes.values()) await this.#stop(node);
    const leftovers = await findLeftovers(
      this.#mesh,
      [...this.#homes].map(([name, home]) => ({ name, home })),
    );
    const acknowledged: JobId[] = this.#loads.flatMap((load) => load.acknowledged);
    const histories = await checkHistories([...this.#homes.values()], { acknowledged });
    const steady = [...this.#steady];
    const judgements = steady.flatMap((name) => this.#judge(name, otherwiseBusy));
    return {
      seed: this.#options.seed,
      seconds,
      daemons: this.#options.daemons,
      steady,
      disturbances: this.#counts,
      jobs: acknowledged.length,
      byState: this.#countStates(),
      judgements,
      samples: this.#samples,
      startsMs: this.#startsMs,
      otherwiseBusy,
      processorPercents: steady.map((name) => this.#measureProcessor(name)),
      neighbours: steady.map((name) => median(this.#samples.filter(({ node }) => node === name).map(neighboursOf))),
      histories,
      problems: [
        ...this.#problems,
        ...this.#loads.flatMap(({ counts }) => counts.problems),
        ...judgements.flatMap(({ problems }) => problems),
        ...judgeRest(rest.before, rest.after),
        ...this.#listUnsampled(),
        ...leftovers,
        ...listViolations(histories),
      ],
    };
  }

  #judge(name: string, otherwiseBusy: number): readonly Judgement[] {
    const bounds = churnBoundsFor(this.#options.seconds);
    const judged = otherwiseBusy > MOST_OTHERWISE_BUSY ? bounds.map(withoutDelay) : bounds;
    return judged.map((bound: Bound) => judgeFigure(this.#samples, name, bound));
  }

  #measureProcessor(name: string): number {
    const samples = this.#samples.filter(({ node }) => node === name);
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined) return Number.NaN;
    return (100 * (last.processorSeconds - first.processorSeconds)) / (last.atSeconds - first.atSeconds);
  }

  #countStates(): Readonly<Record<string, number>> {
    const total: Record<string, number> = {};
    for (const [state, count] of this.#loads.flatMap(({ counts }) => Object.entries(counts.byState))) {
      total[state] = (total[state] ?? 0) + count;
    }
    return total;
  }

  #listUnsampled(): readonly string[] {
    const wanted = this.#rounds;
    return [...this.#steady].flatMap((name) => {
      const count = this.#samples.filter(({ node }) => node === name).length;
      return count >= Math.floor(wanted * SAMPLED_SHARE) ? [] : [`${name} answered only ${count} of ${wanted} times`];
    });
  }
}

/** Shown, and not judged: it would be the delay of whatever else runs. */
function withoutDelay(bound: Bound): Bound {
  const { figure, title, unit, medianAtMost } = bound;
  return medianAtMost === undefined ? bound : { figure, title, unit };
}

const neighboursOf = ({ neighbours }: Sample): number => neighbours;
