import { setTimeout as sleep } from 'node:timers/promises';
import { Mesh, type MeshNode } from '../../test/support/mesh.ts';
import { checkHistories } from '../check-histories/check-histories.ts';
import type { HistoryReport } from '../check-histories/interface.ts';
import { seededRandom } from '../crash-anchoring/leaves.ts';
import { BOUNDS, type Judgement, judgeFigure, judgeRest, type RestSample } from './judge.ts';
import { findLeftovers, listViolations } from './leftovers.ts';
import { Load, type LoadCounts } from './load.ts';
import { type Sample, takeRest, takeSample } from './sample.ts';

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly onProgress?: (line: string) => void;
}

export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  readonly restarts: number;
  readonly kills: number;
  readonly jobs: number;
  readonly counts: LoadCounts;
  readonly judgements: readonly Judgement[];
  readonly samples: readonly Sample[];
  readonly histories: HistoryReport;
  /** Everything that is not as it has to be; empty for a good run. */
  readonly problems: readonly string[];
}

/** These run from beginning to end, so that what grows with time is seen in them. */
const STEADY = ['requester', 'ada'] as const;
const RESTARTED = 'berta';
const KILLED = 'clara';

const SAMPLE_INTERVAL_MS = 1_000;
/** A daemon is restarted in order this often, and another killed half as often, ms. */
const RESTART_INTERVAL_MS = 15_000;
/** Also a short run has about as many of them. */
const LEAST_DISTURBANCES = 6;
const DOWN_MS = 1_000;
/** What a daemon may still have to tidy up once all work has ended, ms. */
const REST_MS = 8_000;
/** A little of every kind of work before anything is measured, ms. */
const WARM_UP_MS = 20_000;
/** Of a steady daemon at least this share of its samples has to be there. */
const SAMPLED_SHARE = 0.5;

/** Four daemons under a steady load, one of them restarted and one killed again and again, each looked at every second. */
export class Soak implements AsyncDisposable {
  readonly #mesh: Mesh;
  readonly #options: SoakOptions;
  readonly #draw: (below: number) => number;
  readonly #nodes = new Map<string, MeshNode>();
  readonly #samples: Sample[] = [];
  readonly #counts = { restarts: 0, kills: 0 };
  #beganAt = 0;

  private constructor(mesh: Mesh, options: SoakOptions) {
    this.#mesh = mesh;
    this.#options = options;
    this.#draw = seededRandom(options.seed);
  }

  static async open(options: SoakOptions): Promise<Soak> {
    const mesh = await Mesh.open({ lease: '4s', renewal: '1s' }, new AbortController().signal);
    return new Soak(mesh, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mesh[Symbol.asyncDispose]();
  }

  async execute(): Promise<SoakReport> {
    const requester = await this.#mesh.addNode('requester', ['--no-provide']);
    this.#nodes.set('requester', requester);
    for (const name of ['ada', RESTARTED, KILLED]) this.#nodes.set(name, await this.#mesh.addNode(name));
    await this.#mesh.untilProviders(requester, 3);
    const load = new Load(this.#mesh, requester, this.#draw);
    await load.prepare();
    await this.#warmUp(load);
    const before = await this.#rest();
    this.#beganAt = performance.now();
    load.start();
    await this.#disturbUntil(performance.now() + this.#options.seconds * 1_000, load);
    await load.stop();
    return await this.#conclude(load, { before, after: await this.#rest() });
  }

  /** What is there after a little of everything stays: children that wait for work, connections, open tables. */
  async #warmUp(load: Load): Promise<void> {
    load.start();
    await sleep(Math.min(WARM_UP_MS, this.#options.seconds * 500));
    await load.stop();
  }

  async #rest(): Promise<readonly RestSample[]> {
    await sleep(REST_MS);
    return await Promise.all([...this.#nodes.values()].map(takeRest));
  }

  get #seconds(): number {
    return (performance.now() - this.#beganAt) / 1_000;
  }

  async #sampleAll(): Promise<readonly Sample[]> {
    const taken = await Promise.all([...this.#nodes.values()].map((node) => takeSample(node, this.#seconds)));
    return taken.filter((sample) => sample !== undefined);
  }

  async #disturbUntil(endAt: number, load: Load): Promise<void> {
    const intervalMs = Math.min(RESTART_INTERVAL_MS, (this.#options.seconds * 1_000) / LEAST_DISTURBANCES);
    let nextAt = performance.now() + intervalMs;
    let disturbing: Promise<void> = Promise.resolve();
    while (performance.now() < endAt) {
      const startedAt = performance.now();
      this.#samples.push(...(await this.#sampleAll()));
      if (performance.now() >= nextAt && performance.now() + intervalMs < endAt) {
        nextAt += intervalMs;
        await disturbing;
        disturbing = this.#disturb();
        this.#options.onProgress?.(this.#describe(load));
      }
      await sleep(Math.max(0, SAMPLE_INTERVAL_MS - (performance.now() - startedAt)));
    }
    await disturbing;
  }

  #describe({ acknowledged, counts }: Load): string {
    return `${Math.round(this.#seconds)} s, ${acknowledged.length} jobs, ${counts.problems.length} problems`;
  }

  async #disturb(): Promise<void> {
    const isKill = (this.#counts.restarts + this.#counts.kills) % 3 === 1;
    const node = this.#node(isKill ? KILLED : RESTARTED);
    if (isKill) await this.#mesh.kill(node);
    else await this.#mesh.stop(node);
    this.#counts[isKill ? 'kills' : 'restarts'] += 1;
    await sleep(this.#draw(DOWN_MS));
    this.#nodes.set(node.name, await this.#mesh.startNode(node));
  }

  #node(name: string): MeshNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new TypeError(`no node ${name}`);
    return node;
  }

  async #conclude(
    load: Load,
    rest: { readonly before: readonly RestSample[]; readonly after: readonly RestSample[] },
  ): Promise<SoakReport> {
    const seconds = this.#seconds;
    for (const node of this.#nodes.values()) await this.#mesh.stop(node);
    const leftovers = await findLeftovers(this.#mesh, this.#nodes.values());
    const folders = [...this.#nodes.values()].map(({ home }) => home);
    const histories = await checkHistories(folders, { acknowledged: load.acknowledged });
    const judgements = STEADY.flatMap((name) => BOUNDS.map((bound) => judgeFigure(this.#samples, name, bound)));
    return {
      seed: this.#options.seed,
      seconds,
      ...this.#counts,
      jobs: load.acknowledged.length,
      counts: load.counts,
      judgements,
      samples: this.#samples,
      histories,
      problems: [
        ...load.counts.problems,
        ...judgements.flatMap(({ problems }) => problems),
        ...judgeRest(rest.before, rest.after),
        ...this.#listUnsampled(),
        ...leftovers,
        ...listViolations(histories),
      ],
    };
  }

  #listUnsampled(): readonly string[] {
    return STEADY.flatMap((name) => {
      const count = this.#samples.filter(({ node }) => node === name).length;
      const least = Math.floor(this.#options.seconds * SAMPLED_SHARE);
      return count >= least ? [] : [`${name} answered only ${count} of ${Math.round(this.#options.seconds)} times`];
    });
  }
}
