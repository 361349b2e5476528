import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobId, PeerKey } from '../../src/domain/ids.ts';
import { seededRandom } from '../crash-anchoring/leaves.ts';
import { Arming } from './arming.ts';
import type { ChaosNode, Death } from './chaos-node.ts';
import { type ClientModules, follow, type ShownJob, settle, submit } from './client.ts';
import { ClientJournal } from './client-journal.ts';
import { findExcess } from './excuses.ts';
import { endlessly, inject } from './faults.ts';
import { Fleet, LITTLE_ROOM } from './fleet.ts';
import { OwnInputs } from './inputs.ts';
import { JOB_KINDS, type JobKind } from './jobs.ts';
import { type Plan, type PlannedFault, type Profile, setsClocks } from './plan.ts';
import { findUnended } from './quarantine.ts';
import { Ratings } from './ratings.ts';
import { type Ended, reckonJob } from './reckoning.ts';
import type { ScenarioModules } from './scenario-modules.ts';

const UP_TIMEOUT_MS = 300_000;
/** Longest that jobs may take to end once all faults are over: those of several replicas may have to expire. */
const DRAIN_TIMEOUT_MS = 420_000;
const CONCURRENT_JOBS: Record<Profile, number> = { mixed: 4, kills: 4, points: 8 };
const POLL_MS = 50;
const LIST_POLL_MS = 500;
const RELEASE_POLL_MS = 3_000;
/** With inputs of their own: of running jobs there must be room for all (LITTLE_ROOM). */
const MOST_OWN_INPUTS = 3;
/** Jobs before time passes, and how long they may take and their observations need, ms. */
const FIRST_JOBS = 8;
const FIRST_JOBS_TIMEOUT_MS = 120_000;
const OBSERVED_AFTER_MS = 8_000;
/** Faults at a time while points are open. */
const UNREST_AT_ONCE = 2;
const LIVE_STATES: ReadonlySet<string> = new Set(['leased', 'queued', 'running', 'unreachable', 'committed']);

interface ScenarioParts {
  readonly plan: Plan;
  readonly modules: ScenarioModules;
  readonly fleet: Fleet;
  readonly journal: ClientJournal;
  readonly inputs: OwnInputs;
}

/** One life of a network under one plan: jobs and faults, then peace, then the reckoning. */
export class Scenario implements AsyncDisposable {
  readonly #plan: Plan;
  readonly #modules: ScenarioModules;
  readonly #fleet: Fleet;
  readonly #journal: ClientJournal;
  readonly #inputs: OwnInputs;
  readonly #arming: Arming;
  readonly #draw: (below: number) => number;
  readonly #findings: string[] = [];
  readonly #ended = new Map<string, Ended>();
  readonly #ratings = new Ratings();
  /** Latest that was seen of each job that has not ended. */
  readonly #views = new Map<string, { readonly view: ShownJob; readonly requester: string }>();
  readonly #flows = new Set<Promise<void>>();
  /** Quarantined by every provider, and cancelled for that. */
  readonly #released = new Set<string>();
  readonly #draining = new AbortController();
  #submitted = 0;
  /** Jobs under way that have one. */
  #ownInputs = 0;
  #isOver = false;
  #isDiskFull = false;

  private constructor(parts: ScenarioParts) {
    this.#plan = parts.plan;
    this.#modules = parts.modules;
    this.#fleet = parts.fleet;
    this.#journal = parts.journal;
    this.#inputs = parts.inputs;
    this.#arming = new Arming({ fleet: parts.fleet, signal: parts.modules.signal }, parts.plan.arms);
    this.#draw = seededRandom(parts.plan.seed + 1);
  }

  static async open(plan: Plan, folder: string, modules: ScenarioModules): Promise<Scenario> {
    const requesters = ['rita', 'rolf'].slice(0, plan.requesters);
    const providers = ['ada', 'berta', 'clara', 'dora'].slice(0, plan.providers);
    const small = [...requesters, ...providers][plan.smallDisk];
    const draw = seededRandom(plan.seed + 2);
    const fleet = await Fleet.open({
      from: modules.from,
      folder,
      template: modules.template,
      requesters,
      providers,
      ...(plan.profile === 'mixed' && small !== undefined ? { onSmallDisk: small } : {}),
      ...(plan.hasOwnInputs ? { settings: LITTLE_ROOM } : {}),
      draw: () => draw(2 ** 30) / 2 ** 30,
      signal: modules.signal,
    });
    await writeFile(join(folder, 'plan.json'), JSON.stringify(plan, null, 2));
    const journal = new ClientJournal(join(folder, 'acknowledged.jsonl'));
    const inputs = new OwnInputs(join(folder, 'inputs'), plan.seed);
    return new Scenario({ plan, modules, fleet, journal, inputs });
  }

  /** What ended how, by job; for a run without faults. */
  get ended(): ReadonlyMap<string, Ended> {
    return this.#ended;
  }

  /** @returns what is not as it has to be */
  async run(): Promise<readonly string[]> {
    const fleet = this.#fleet;
    fleet.onDeath = (death) => this.#onDeath(death);
    fleet.restartAfterMs = () => (this.#draw(3) === 0 ? 3_500 + this.#draw(1_500) : this.#draw(400));
    this.#arming.armFirstStart();
    fleet.start();
    for (const node of fleet.nodes) await fleet.untilUp(node, UP_TIMEOUT_MS);
    await fleet.untilConnected(UP_TIMEOUT_MS);
    for (const level of await fleet.readIsolation()) this.#modules.tally.isolation.add(level);
    if (this.#plan.agesByMs > 0) await this.#age();
    const submitting = this.#keepSubmitting();
    // Awaited below, unless the faults fail first.
    submitting.catch(() => undefined);
    await this.#disturb();
    this.#isOver = true;
    fleet.heal();
    await submitting;
    await this.#drain();
    await this.#reckon();
    if (this.#findings.length > 0) await fleet.keepSmallDisk();
    return this.#findings;
  }

  async #keepSubmitting(): Promise<void> {
    const { jobs, profile } = this.#plan;
    const isPeaceful = this.#isPeaceful;
    // Faults that are soon done with come to every kind of job all the same.
    const fewest = isPeaceful || profile === 'mixed' ? JOB_KINDS.length : 0;
    while (this.#submitted < fewest || !(isPeaceful || this.#isOver)) {
      this.#submitNext(JOB_KINDS[isPeaceful ? this.#submitted : (jobs[this.#submitted % jobs.length] ?? 0)]);
      while (this.#flows.size >= (isPeaceful ? 2 : CONCURRENT_JOBS[profile]) && !this.#isEndingEarly)
        await sleep(POLL_MS, undefined, { signal: this.#modules.signal });
    }
  }

  #submitNext(kind: JobKind | undefined): void {
    this.#submitted += 1;
    const requester = this.#fleet.requesters[this.#submitted % this.#fleet.requesters.length];
    if (kind !== undefined && requester !== undefined) this.#begin(kind, requester);
  }

  /** Some jobs, and all stop in order; when they start again, armed, it is much later. */
  async #age(): Promise<void> {
    const { signal } = this.#modules;
    const [plainest] = JOB_KINDS;
    for (let count = 0; count < FIRST_JOBS; count += 1) this.#submitNext(plainest);
    const deadlineMs = performance.now() + FIRST_JOBS_TIMEOUT_MS;
    while (this.#flows.size > 0 && performance.now() < deadlineMs) await sleep(POLL_MS, undefined, { signal });
    await sleep(OBSERVED_AFTER_MS, undefined, { signal });
    for (const node of this.#fleet.nodes) this.#fleet.holdDown(node);
    const stopped = await Promise.all(this.#fleet.nodes.map(async (node) => ((await node.stop()) ? [] : [node.name])));
    for (const name of stopped.flat()) this.#find(`${name} did not stop in order`);
    for (const node of this.#fleet.nodes) node.age(this.#plan.agesByMs);
  }

  get #isPeaceful(): boolean {
    const { faults, arms } = this.#plan;
    return faults.length + arms.requester.length + arms.provider.length === 0;
  }

  get #isEndingEarly(): boolean {
    return this.#isOver && !this.#isPeaceful;
  }

  #begin(kind: JobKind, node: ChaosNode): void {
    const flow = this.#runJob(kind, node)
      .catch((error: unknown) => {
        if (this.#draining.signal.aborted || this.#modules.signal.aborted) return;
        this.#find(`${kind.name} on ${node.name}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
      })
      .finally(() => this.#flows.delete(flow));
    this.#flows.add(flow);
  }

  async #runJob(kind: JobKind, node: ChaosNode): Promise<void> {
    const hasOwnInput = kind.hasBlob && this.#plan.hasOwnInputs;
    if (hasOwnInput && this.#ownInputs >= MOST_OWN_INPUTS) return;
    this.#ownInputs += hasOwnInput ? 1 : 0;
    const input = hasOwnInput ? await this.#inputs.create() : null;
    const common = this.#describeClient(node);
    const files = input === null ? common.files : { ...common.files, input: input.path };
    const modules = { ...common, files, output: input?.output ?? null };
    const submitted = await submit(kind, modules);
    await Promise.all(submitted.jobs.map((job) => this.#follow(job, kind, modules)));
    await settle(submitted, modules);
    this.#ownInputs -= hasOwnInput ? 1 : 0;
  }

  #describeClient(node: ChaosNode): ClientModules {
    const { files, signal, template } = this.#modules;
    const holder = this.#fleet.providers[this.#draw(this.#fleet.providers.length)];
    return {
      node,
      journal: this.#journal,
      files,
      output: null,
      replicasLastMs: this.#plan.replicasLastMs,
      holder: PeerKey(holder?.peer ?? ''),
      policy: JSON.stringify({ simulated: { measurements: [template.tee.measurement] } }),
      openedFolder: join(this.#fleet.stage.directory, 'opened'),
      onFinding: (problem) => this.#find(problem),
      signal: AbortSignal.any([signal, this.#draining.signal]),
      onView: (view: ShownJob) => void this.#views.set(view.job, { view, requester: node.name }),
    };
  }

  async #follow(job: JobId, kind: JobKind, modules: ClientModules): Promise<void> {
    const ended = await follow(job, kind, modules);
    this.#views.delete(job);
    this.#ended.set(job, { kind, ended, untilMs: Date.now() });
    this.#modules.tally.countJob(kind.name);
    if (kind.isRated && ended.view.result !== null) await this.#ratings.rate(job, modules);
  }

  async #disturb(): Promise<void> {
    const { faults, profile } = this.#plan;
    let areAllPassed = false;
    const passing = this.#arming.passAll().finally(() => {
      areAllPassed = true;
    });
    for (const node of this.#fleet.nodes) this.#fleet.release(node);
    const isPoints = profile === 'points';
    const series = isPoints ? UNREST_AT_ONCE : 1;
    const isOver = (): boolean => isPoints && areAllPassed;
    const injecting = Array.from({ length: series }, (_, first) =>
      this.#injectAll(
        isPoints ? endlessly(faults.filter((_fault, index) => index % series === first)) : faults,
        isOver,
      ),
    );
    await Promise.all([passing, this.#releaseUntil(isOver), ...injecting]);
  }

  /** So many die at points that jobs which every provider refuses for good would take all places. */
  async #releaseUntil(isOver: () => boolean): Promise<void> {
    if (this.#plan.profile !== 'points') return;
    while (!isOver()) {
      await this.#hasNoneLeft();
      await sleep(RELEASE_POLL_MS, undefined, { signal: this.#modules.signal });
    }
  }

  async #injectAll(faults: Iterable<PlannedFault>, isOver: () => boolean): Promise<void> {
    const { fleet, signal } = { fleet: this.#fleet, signal: this.#modules.signal };
    for (const fault of faults) {
      if (isOver()) return;
      await this.#untilBusy();
      await sleep(fault.waitMs, undefined, { signal });
      const { nodes } = fleet;
      const target = nodes[fault.target % nodes.length];
      const rest = nodes.filter((node) => node !== target);
      const other = rest[fault.other % rest.length];
      if (target === undefined || other === undefined) continue;
      // One kill in ten may come while the daemon starts.
      if (fault.kind !== 'kill' || fault.strength > 0.1) await fleet.untilUp(target, UP_TIMEOUT_MS);
      const isEffective = this.#isBusy(target);
      this.#isDiskFull = fault.kind === 'full disk';
      const views = (): readonly ShownJob[] => [...this.#views.values()].map(({ view }) => view);
      await inject({ fleet, fault, target, other, views, signal, onFinding: (problem) => this.#find(problem) });
      this.#modules.tally.countFault(fault.kind, isEffective);
    }
  }

  /** A requester with a job that has not ended, or a provider with an attempt that has not. */
  #isBusy(node: ChaosNode): boolean {
    if (node.pid === undefined) return false;
    for (const { view, requester } of this.#views.values()) {
      if (view.endedAtMs !== null) continue;
      if (requester === node.name) return true;
      if (view.attempts.some(({ provider, state }) => provider === node.peer && LIVE_STATES.has(state))) return true;
    }
    return false;
  }

  async #untilBusy(): Promise<void> {
    while (this.#views.size === 0) await sleep(POLL_MS, undefined, { signal: this.#modules.signal });
  }

  #onDeath(death: Death): void {
    const { tally } = this.#modules;
    const node = this.#fleet.node(death.name);
    if (death.signal === 'SIGKILL') {
      tally.countKill(death.points.length > 0 || (death.wasUp && this.#isBusyPeer(node)));
      const role = node.provides ? 'provider' : 'requester';
      tally.countDeath(role, death);
      this.#arming.countDeath(role, death.points);
    } else if (death.exitCode !== 0 && !this.#isDiskFull) {
      this.#find(`${death.name} ended by itself with ${death.signal ?? death.exitCode}; see ${death.logFile}`);
    }
  }

  #isBusyPeer({ name, peer }: ChaosNode): boolean {
    return [...this.#views.values()].some(
      ({ view, requester }) => requester === name || view.attempts.some(({ provider }) => provider === peer),
    );
  }

  /** All that was acknowledged ends in bounded time. */
  async #drain(): Promise<void> {
    const { signal } = this.#modules;
    const deadlineMs = performance.now() + DRAIN_TIMEOUT_MS;
    while ((!(await this.#hasNoneLeft()) || this.#flows.size > 0) && performance.now() < deadlineMs) {
      await sleep(LIST_POLL_MS, undefined, { signal });
    }
    await this.#followForsaken(deadlineMs);
    this.#draining.abort();
    await Promise.all(this.#flows);
    for (const { job, kind } of this.#journal.acknowledged) {
      if (this.#ended.has(job)) continue;
      const known = this.#views.get(job)?.view;
      const attempts = known?.attempts.map(({ state, reason }) => `${state} ${reason ?? ''}`).join('; ') ?? '';
      this.#find(
        `${kind} ${job} did not end in ${DRAIN_TIMEOUT_MS / 1000} s: ${known?.state ?? 'unknown'} (${attempts})`,
      );
    }
  }

  /** Acknowledged after its client had given up waiting and had submitted another: it counts like any. */
  async #followForsaken(deadlineMs: number): Promise<void> {
    const signal = AbortSignal.any([
      this.#draining.signal,
      AbortSignal.timeout(Math.max(1, Math.ceil(deadlineMs - performance.now()))),
    ]);
    for (const { job, kind, requester } of this.#journal.acknowledged) {
      const known = JOB_KINDS.find(({ name }) => name === kind);
      if (this.#ended.has(job) || known === undefined) continue;
      const modules = { ...this.#describeClient(this.#fleet.node(requester)), signal };
      // What does not end is found below.
      await this.#follow(job, { ...known, treatment: 'leave' }, modules).catch(() => undefined);
    }
  }

  /** Also of a job whose requester died before it answered its client: nobody follows it, and it has to end all the same. */
  async #hasNoneLeft(): Promise<boolean> {
    const providers = this.#fleet.providers.map(({ peer }) => peer);
    let left = 0;
    for (const { client } of this.#fleet.requesters) {
      const unended = client === undefined ? undefined : await findUnended(client, providers).catch(() => undefined);
      left += unended?.left ?? 1;
      for (const job of unended?.released ?? []) this.#released.add(job);
    }
    return left === 0;
  }

  async #reckon(): Promise<void> {
    const { tally, expected, checkHistories, commonOutput } = this.#modules;
    const modules = { fleet: this.#fleet, tally, expected, commonOutput, released: this.#released };
    for (const entry of this.#journal.acknowledged) {
      const ended = this.#ended.get(entry.job);
      for (const problem of ended === undefined ? [] : reckonJob(entry, ended, modules)) this.#find(problem);
    }
    const excess = findExcess('scenario', tally);
    if (excess !== null) this.#find(excess);
    // One that is stopped while it starts leaves what its killed life left: that is ended once it is up.
    for (const node of this.#fleet.nodes) await this.#fleet.untilUp(node, UP_TIMEOUT_MS);
    await this.#reviewRatings();
    const killed = await this.#fleet.stop();
    for (const name of killed) this.#find(`${name} did not stop in order`);
    for (const node of this.#fleet.nodes) tally.addPoints(node.provides ? 'provider' : 'requester', node.readPoints());
    const folders = this.#fleet.nodes.map(({ home }) => home);
    const acknowledged = this.#journal.acknowledged.map(({ job }) => job);
    const nowMs = Date.now() + this.#plan.agesByMs;
    const haveClocksJumped = setsClocks(this.#plan);
    for (const violation of await checkHistories(folders, { acknowledged, haveClocksJumped, nowMs }))
      this.#find(violation);
    tally.checks += 1;
    tally.scenarios += 1;
  }

  /** By a clock that was wrong an attempt may be too old, or not yet begun: its rating does not count, and goes. */
  async #reviewRatings(): Promise<void> {
    if (setsClocks(this.#plan) || this.#plan.agesByMs > 0) return;
    for (const node of this.#fleet.requesters) {
      const { signal } = this.#modules;
      await this.#ratings.review({ node, signal, onFinding: (problem) => this.#find(problem) });
    }
  }

  #find(problem: string): void {
    this.#findings.push(problem);
    this.#modules.say(`seed ${this.#plan.seed}: FOUND ${problem}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#draining.abort();
    this.#journal[Symbol.dispose]();
    await this.#fleet[Symbol.asyncDispose]();
  }
}
