import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobId } from '../../src/domain/ids.ts';
import { checkHistories } from '../check-histories/check-histories.ts';
import type { HistoryOptions } from '../check-histories/interface.ts';
import type { Outcome } from '../crash-stepping/outcome.ts';
import { createTemplate } from './fleet.ts';
import { computeOutput, createInput } from './inputs.ts';
import { buildModules, type FileName, JOB_KINDS, SECRET_BYTES } from './jobs.ts';
import { judgeJob } from './judge.ts';
import { createPlan, drawArms, type Plan, type PlanOptions, type Profile } from './plan.ts';
import { careFor, mostDeathsAt } from './point-care.ts';
import { Scenario } from './scenario.ts';
import type { ScenarioModules } from './scenario-modules.ts';
import { Tally } from './tally.ts';

export interface ChaosOptions {
  readonly from: 'dist' | 'src';
  /** Of the first scenario; the next ones count on from it. */
  readonly seeds: Iterator<number>;
  readonly profiles: readonly Profile[];
  /** Ends when all that is set is reached. */
  readonly until: {
    readonly minutes?: number;
    readonly kills?: number;
    readonly scenarios?: number;
    /** Each side of each known point so often, or tried in vain in as many scenarios. */
    readonly timesEachPoint?: number;
    /** No other points then. */
    readonly onlyPoints?: readonly string[];
  };
  /** Makes each scenario short. */
  readonly share?: Pick<PlanOptions, 'mostFaults' | 'replicasLastMs'>;
  /** Scenarios at a time: most of one is waiting. */
  readonly atOnce: number;
  /** What runs before this one have done and seen: this one goes on from there. */
  readonly before?: Tally;
  /** Told after each scenario. */
  readonly onProgress?: (tally: Tally) => Promise<void>;
  /** Instead of what the seeds stand for. */
  readonly replay?: Plan;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const NAMES = ['rita', 'rolf', 'ada', 'berta', 'clara', 'dora'] as const;
const PEACE_SEED = 0;
const COMMON_INPUT_SEED = 0;
/** Points of one scenario and role: more would make its data folders, and a replay, long. */
const ARMS_OF_SCENARIO = 60;
/** Scenarios in which a point may not be come to, before no more are spent on it. */
const POINT_SCENARIOS = 8;

/** What is the same whenever a job runs that takes this module and these checkpoints. */
const SAME_AS: Readonly<Record<string, string>> = {
  paused: 'stepping',
  cancelled: 'stepping',
  'held by a third': 'stepping',
};

/** Scenario after scenario, each on new data folders, until there were enough. Folders of failed ones are kept. */
export async function runChaos(options: ChaosOptions): Promise<Tally> {
  const tally = options.before ?? new Tally();
  const root = await mkdtemp(join(tmpdir(), 'fogproof-chaos-'));
  const onExit = (): void => options.say(`folder: ${root}`);
  process.on('exit', onExit);
  try {
    const { from, signal, say } = options;
    say(`making identities in ${root}`);
    const template = await createTemplate(join(root, 'template'), NAMES, { from, signal });
    const input = createInput(COMMON_INPUT_SEED);
    const secret = input.slice(-SECRET_BYTES);
    const files = await writeFiles(join(root, 'files'), { input, secret });
    const [commonOutput, secretOutput] = [computeOutput(input), computeOutput(secret)];
    const modules = { template, files, commonOutput, secretOutput, from, say, signal, checkHistories: listViolations };
    const expected = await runInPeace(join(root, 'peace'), tally, modules);
    for (const point of options.until.onlyPoints ?? []) addAskedFor(tally, point);
    await new Series(options, { root, tally, modules: { ...modules, expected } }).run();
  } finally {
    process.off('exit', onExit);
    if (tally.findings.length === 0) await rm(root, { recursive: true, force: true, maxRetries: 5 });
    else options.say(`kept: ${root}`);
  }
  return tally;
}

async function writeFiles(
  folder: string,
  inputs: Readonly<Record<'input' | 'secret', Uint8Array>>,
): Promise<Readonly<Record<FileName, string>>> {
  await mkdir(folder);
  const files: Record<string, string> = {};
  for (const [name, bytes] of Object.entries({ ...buildModules(), ...inputs })) {
    files[name] = join(folder, name);
    await writeFile(join(folder, name), bytes);
  }
  return files as Record<FileName, string>;
}

async function listViolations(
  folders: readonly string[],
  options: Required<Pick<HistoryOptions, 'acknowledged' | 'haveClocksJumped'>>,
): Promise<string[]> {
  const { invariants } = await checkHistories(folders, options);
  return invariants.flatMap(({ violations }) =>
    violations.map(({ invariant, node, key, problem }) => `history: ${invariant} on ${node}: ${key}: ${problem}`),
  );
}

/** Every kind of job once, undisturbed: what each has to give, and the points that a run comes to. */
async function runInPeace(
  folder: string,
  tally: Tally,
  modules: Omit<ScenarioModules, 'expected' | 'tally'> & { readonly secretOutput: BlobId },
): Promise<ReadonlyMap<string, Outcome>> {
  modules.say('every kind of job, undisturbed');
  const plan: Plan = {
    ...createPlan({ seed: PEACE_SEED, profile: 'points', jobKinds: JOB_KINDS.length }),
    requesters: 1,
    providers: 4,
    hasOwnInputs: false,
  };
  const own = new Tally();
  await using scenario = await Scenario.open(plan, folder, { ...modules, tally: own, expected: new Map() });
  const findings = await scenario.run();
  if (findings.length > 0) throw new Error(`undisturbed already:\n${findings.join('\n')}`);
  const found = new Map<string, Outcome>();
  for (const { kind, ended } of scenario.ended.values()) found.set(kind.name, ended.outcome);
  const expected = new Map<string, Outcome>();
  for (const { name } of JOB_KINDS) {
    const outcome = found.get(SAME_AS[name] ?? name);
    if (outcome === undefined) throw new Error(`no job of the kind ${name} ended`);
    expected.set(name, outcome);
  }
  for (const { name } of JOB_KINDS.filter(({ hasBlob }) => hasBlob)) {
    // What is expected of other inputs is worked out in the same way.
    assertMade(expected, name, modules.commonOutput);
  }
  for (const { name } of JOB_KINDS.filter(({ isConfidential }) => isConfidential)) {
    assertMade(expected, name, modules.secretOutput);
    assertMade(expected, name, modules.template.tee.measurement);
  }
  for (const { kind, ended } of scenario.ended.values()) {
    const right = expected.get(kind.name);
    const judgement =
      right === undefined ? undefined : judgeJob(kind, right, ended, { hasLostProvider: false, wasHarmed: false });
    if (judgement?.kind !== 'right') throw new Error(`undisturbed already: ${JSON.stringify(judgement)}`);
  }
  for (const role of ['requester', 'provider'] as const) {
    const points = own.points(role).map(({ point }) => point);
    tally.addPoints(role, points);
  }
  return expected;
}

/** Of the role that is known to come to it; of both where none is. */
function addAskedFor(tally: Tally, point: string): void {
  const roles = ['requester', 'provider'] as const;
  const knowing = roles.filter((role) => tally.points(role).some((known) => known.point === point));
  for (const role of knowing.length === 0 ? roles : knowing) tally.addPoints(role, [point]);
}

/** It is in the result. */
function assertMade(expected: ReadonlyMap<string, Outcome>, name: string, what: string): void {
  if (expected.get(name)?.result.includes(what) !== true)
    throw new Error(`undisturbed already: the result of ${name} has no ${what}`);
}

class Series {
  readonly #options: ChaosOptions;
  readonly #root: string;
  readonly #tally: Tally;
  readonly #modules: Omit<ScenarioModules, 'tally'>;
  readonly #startMs = performance.now();
  readonly #secondsBefore: number;
  /** Scenarios in which a side of a point was armed. */
  readonly #armed = new Map<string, number>();

  constructor(
    options: ChaosOptions,
    parts: { readonly root: string; readonly tally: Tally; readonly modules: Omit<ScenarioModules, 'tally'> },
  ) {
    this.#options = options;
    this.#root = parts.root;
    this.#tally = parts.tally;
    this.#secondsBefore = parts.tally.seconds;
    this.#modules = parts.modules;
  }

  async run(): Promise<void> {
    const { replay, profiles, seeds } = this.#options;
    if (replay !== undefined) return await this.#runOne(replay);
    let turn = 0;
    const runInTurn = async (): Promise<void> => {
      while (!this.#isEnough()) {
        const next = seeds.next();
        if (next.done === true) return;
        const profile = profiles[turn % profiles.length] ?? 'mixed';
        turn += 1;
        await this.#runOne(this.#createPlan(next.value, profile));
      }
    };
    await Promise.all(Array.from({ length: this.#options.atOnce }, runInTurn));
  }

  #isEnough(): boolean {
    const { minutes, kills, scenarios, timesEachPoint } = this.#options.until;
    const tally = this.#tally;
    if (minutes !== undefined && performance.now() - this.#startMs < minutes * 60_000) return false;
    if (kills !== undefined && tally.kills < kills) return false;
    if (scenarios !== undefined && tally.scenarios < scenarios) return false;
    if (timesEachPoint === undefined) return true;
    return this.#openPoints('requester').length + this.#openPoints('provider').length === 0;
  }

  /** Points that were not died at often enough, and are not given up. */
  #openPoints(role: 'requester' | 'provider'): readonly string[] {
    const missing = this.#tally.missing(role, this.#options.until.timesEachPoint ?? Number.POSITIVE_INFINITY);
    const { onlyPoints } = this.#options.until;
    const open = missing.filter(({ point, side }) => {
      if (onlyPoints?.includes(point) === false) return false;
      const count = this.#tally.points(role).find((known) => known.point === point);
      const armed = this.#armed.get(`${role} ${point}`) ?? 0;
      return armed < POINT_SCENARIOS + 2 * (count?.[side] ?? 0);
    });
    return [...new Set(open.map(({ point }) => point))];
  }

  #createPlan(seed: number, profile: Profile): Plan {
    const given = { seed, profile, jobKinds: JOB_KINDS.length, ...this.#options.share };
    if (profile !== 'points') return createPlan(given);
    const arms = {
      requester: this.#chooseArms('requester', seed),
      provider: this.#chooseArms('provider', seed + 1),
    };
    const care = careFor([...arms.requester, ...arms.provider].map(({ point }) => point));
    return createPlan({ ...given, arms, care });
  }

  #chooseArms(role: 'requester' | 'provider', seed: number) {
    const arms = drawArms(this.#openPoints(role), seed)
      .filter(({ point, side }) => {
        const count = this.#tally.points(role).find((known) => known.point === point);
        return (count?.[side] ?? 0) < (this.#options.until.timesEachPoint ?? Number.POSITIVE_INFINITY);
      })
      .slice(0, ARMS_OF_SCENARIO);
    for (const point of new Set(arms.map((arm) => arm.point))) {
      this.#armed.set(`${role} ${point}`, (this.#armed.get(`${role} ${point}`) ?? 0) + 1);
    }
    return arms.flatMap((arm) => {
      const count = this.#tally.points(role).find((known) => known.point === arm.point);
      const missing = (this.#options.until.timesEachPoint ?? 1) - (count?.[arm.side] ?? 0);
      return Array.from({ length: Math.max(1, Math.min(missing, mostDeathsAt(arm.point))) }, () => arm);
    });
  }

  async #runOne(plan: Plan): Promise<void> {
    const { say } = this.#options;
    const tally = new Tally();
    const folder = join(this.#root, `seed-${plan.seed}`);
    const arms = plan.arms.requester.length + plan.arms.provider.length;
    say(
      `seed ${plan.seed}: ${plan.profile}, ${plan.requesters} + ${plan.providers} nodes, ${plan.faults.length + arms} faults`,
    );
    let findings: readonly string[];
    {
      await using scenario = await Scenario.open(plan, folder, { ...this.#modules, tally });
      findings = await scenario.run().catch((error: unknown) => {
        this.#options.signal.throwIfAborted();
        return [`the scenario broke off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
      });
    }
    for (const problem of findings) tally.find({ seed: plan.seed, problem });
    const total = this.#tally;
    // Only the same plan says that what it found is gone: a seed stands for another with each profile.
    if (findings.length === 0 && this.#options.replay !== undefined) total.settle(plan.seed);
    total.merge(tally.toRecord());
    total.seconds = this.#secondsBefore + (performance.now() - this.#startMs) / 1000;
    const counts = `${tally.kills} kills, ${tally.jobs} jobs, ${findings.length} findings`;
    say(`seed ${plan.seed}: ${counts}; ${total.kills} kills in all`);
    await this.#options.onProgress?.(total);
    if (findings.length === 0) return await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    say(`  again: npm run chaos -- --replay ${join(folder, 'plan.json')}`);
    if (plan.profile !== 'points')
      say(`     or: npm run chaos -- --seed ${plan.seed} --profile ${plan.profile} --scenarios 1`);
  }
}
