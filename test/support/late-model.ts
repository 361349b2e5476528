import fc from 'fast-check';
import type { JobId, LeaseId, PeerKey } from '../../src/domain/ids.ts';
import { RECEIPT, type Receipt } from '../../src/domain/receipt.ts';
import { openSigned } from '../../src/proofs/signed-object.ts';
import { ATTEMPTS_PER_PROVIDER } from '../../src/scheduler/constants.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { JobStore } from '../../src/scheduler/job-store.ts';
import { LeaseStore } from '../../src/scheduler/provider/leases/lease-store.ts';
import { ManualClock, settleTasks } from './manual-clock.ts';
import { SteppedClock } from './provider-clock.ts';
import type { HeldExecution } from './provider-executor.ts';
import { ProviderRig } from './provider-rig.ts';
import { Switchboard } from './provider-transport.ts';
import { describeRecord, RequesterRig } from './requester-rig.ts';

export const TERM_MS = 20_000;
const STEP_MS = 2_500;
const MODEL_PARAMETERS = {
  leaseDurationMs: TERM_MS,
  leaseRenewalMs: 5_000,
  offerTtlMs: 5_000,
  recordTtlMs: 60_000,
  beaconRoundMs: 1_000,
  epochRounds: 10,
};
const PROVIDERS = 3;

export type ModelAction =
  | { readonly kind: 'submit'; readonly replicas: 1 | 2 }
  | { readonly kind: 'cut' | 'heal' | 'drop' | 'crash' | 'stall' | 'revive' | 'finish'; readonly provider: number }
  | { readonly kind: 'pass'; readonly steps: number }
  | { readonly kind: 'restart' }
  | { readonly kind: 'cancel'; readonly job: number };

const provider = fc.integer({ min: 0, max: PROVIDERS - 1 });
const about = (kind: Extract<ModelAction, { provider: number }>['kind']) =>
  fc.record({ kind: fc.constant(kind), provider }) as fc.Arbitrary<ModelAction>;

export const modelActions: fc.Arbitrary<ModelAction[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('submit' as const), replicas: fc.constantFrom(1, 2) }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('pass' as const), steps: fc.integer({ min: 1, max: 12 }) }) },
    { weight: 3, arbitrary: about('cut') },
    { weight: 3, arbitrary: about('heal') },
    { weight: 2, arbitrary: about('drop') },
    { weight: 1, arbitrary: about('crash') },
    { weight: 1, arbitrary: about('stall') },
    { weight: 1, arbitrary: about('revive') },
    { weight: 4, arbitrary: about('finish') },
    { weight: 2, arbitrary: fc.constant({ kind: 'restart' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), job: fc.nat({ max: 5 }) }) },
  ) as fc.Arbitrary<ModelAction>,
  { minLength: 4, maxLength: 30, size: 'max' },
);

/** One clock for everybody, in the form that a provider's rig takes. */
class SharedClock extends SteppedClock {
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    super();
    this.#clock = clock;
  }
  override nowMs = () => this.#clock.nowMs();
  override monotonicMs = () => this.#clock.monotonicMs();
  override schedule = (delayMs: number, task: () => void) => this.#clock.schedule(delayMs, task);
}

class MeshSwitchboard extends Switchboard {
  readonly #join: Switchboard['join'];

  constructor(join: Switchboard['join']) {
    super();
    this.#join = join;
  }
  override join(peer: PeerKey) {
    return this.#join(peer);
  }
}

interface ModelProvider {
  rig: ProviderRig;
  /** Of programs of processes that are gone nothing comes. */
  readonly executions: HeldExecution[];
  isLively: boolean;
}

/** A requester and real providers in memory, which are disturbed by a schedule of actions. */
export class LateModel {
  requester: RequesterRig;
  readonly providers: ModelProvider[] = [];
  readonly jobs: JobId[] = [];
  readonly cancelled = new Set<JobId>();
  /** Terminal states as they were seen first. */
  readonly ended = new Map<JobId, JobView>();
  readonly #switchboard: Switchboard;
  readonly #clock: SharedClock;

  private constructor(requester: RequesterRig) {
    this.requester = requester;
    this.#switchboard = new MeshSwitchboard((peer) => requester.mesh.join(peer));
    this.#clock = new SharedClock(requester.clock);
  }

  static async start(): Promise<LateModel> {
    const options = { parameters: MODEL_PARAMETERS };
    const model = new LateModel(await RequesterRig.start({ requester: options }));
    for (let index = 0; index < PROVIDERS; index += 1) {
      const held: HeldExecution[] = [];
      const rig = await model.#startProvider(index, held);
      model.providers.push({ rig, executions: held, isLively: true });
      model.requester.peers.add(describeRecord(rig.identity.peer));
    }
    return model;
  }

  async #startProvider(index: number, held: HeldExecution[], from?: ProviderRig): Promise<ProviderRig> {
    const provider = { networkId: 'test', parameters: MODEL_PARAMETERS, slots: 4, resultsKeptForMs: 10 * 3_600_000 };
    const before = from === undefined ? {} : { database: from.database.clone(), blobs: from.blobs };
    const [clock, switchboard] = [this.#clock, this.#switchboard];
    const rig = await ProviderRig.start({ ...before, clock, switchboard, seed: 11 + index, provider });
    rig.executor.behaviour = (execution) => void held.push(execution);
    return rig;
  }

  async act(action: ModelAction): Promise<void> {
    await this.#act(action);
    await settleTasks();
    await this.observe();
  }

  async #act(action: ModelAction): Promise<void> {
    switch (action.kind) {
      case 'submit': {
        const replication = { replicas: action.replicas, quorum: action.replicas, diversity: 'peer' as const };
        const deadlineMs = (this.#clock.nowMs() + 5 * 3_600_000) as never;
        this.jobs.push(await this.requester.submit({ replication, retries: 32, deadlineMs }));
        return;
      }
      case 'pass':
        for (let step = 0; step < action.steps; step += 1) await this.#pass();
        return;
      case 'cancel': {
        const job = this.jobs[action.job];
        if (job === undefined || this.ended.has(job)) return;
        this.cancelled.add(job);
        await this.#whilePassing(this.requester.requester.cancel(job));
        return;
      }
      case 'restart':
        this.requester = await this.requester.restart({ parameters: MODEL_PARAMETERS });
        return;
      default:
        return this.#disturb(action);
    }
  }

  async #disturb({ kind, provider: index }: Extract<ModelAction, { provider: number }>): Promise<void> {
    const disturbed = this.providers[index];
    if (disturbed === undefined) return;
    const { mesh } = this.requester;
    const { peer } = disturbed.rig.identity;
    switch (kind) {
      case 'cut':
        return mesh.cut(peer);
      case 'heal':
        return mesh.restore(peer);
      case 'drop':
        return mesh.dropStreams(peer);
      case 'stall':
      case 'revive':
        disturbed.isLively = kind === 'revive';
        return;
      case 'finish':
        for (const execution of disturbed.executions.splice(0)) execution.finish();
        return;
      case 'crash':
        // What it ran is gone; what it wrote is there.
        disturbed.executions.length = 0;
        mesh.dropStreams(peer);
        disturbed.rig = await this.#startProvider(index, disturbed.executions, disturbed.rig);
        return;
      default:
        return kind satisfies never;
    }
  }

  async #pass(): Promise<void> {
    for (const { isLively, executions } of this.providers) {
      for (const { sink } of isLively ? executions : []) sink.progress({ fuel: 1, step: 1, cpuTimeMs: 1 });
    }
    await this.requester.clock.advance(STEP_MS);
  }

  async #whilePassing(work: Promise<unknown>): Promise<void> {
    const state = { isDone: false };
    const done = work.finally(() => {
      state.isDone = true;
    });
    done.catch(() => undefined);
    for (let turn = 0; turn < 40 && !state.isDone; turn += 1) await this.#pass();
    await done;
  }

  /** An end that was seen stays as it is. */
  async observe(): Promise<void> {
    for (const job of this.jobs) {
      const view = await this.requester.requester.show(job);
      if (view.endedAtMs === null) {
        if (this.ended.has(job)) throw new TypeError(`job ${job} had ended and is ${view.state}`);
        continue;
      }
      const before = this.ended.get(job);
      if (before !== undefined && before.state !== view.state) {
        throw new TypeError(`job ${job} was ${before.state} and is ${view.state}`);
      }
      this.ended.set(job, before ?? view);
    }
  }

  /** All disturbance ends: every job comes to its end. */
  async settle(): Promise<void> {
    for (const { rig } of this.providers) this.requester.mesh.restore(rig.identity.peer);
    for (let turn = 0; turn < 120 && this.ended.size < this.jobs.length; turn += 1) {
      for (const each of this.providers) {
        each.isLively = true;
        for (const execution of each.executions.splice(0)) execution.finish();
      }
      await this.#pass();
      await this.observe();
    }
    const open: JobId[] = [];
    for (const job of this.jobs) {
      if (!this.ended.has(job) && !(await this.#isUsedUp(job))) open.push(job);
    }
    if (open.length === 0) return;
    const why = await Promise.all(open.map((job) => this.requester.requester.explain(job)));
    throw new TypeError(`jobs that never end: ${JSON.stringify(why)}`);
  }

  /** Every provider had its chances and let them pass: it waits for another until its deadline. */
  async #isUsedUp(job: JobId): Promise<boolean> {
    const { attempts } = await this.requester.requester.show(job);
    return this.providers.every(({ rig }) => {
      const own = attempts.filter(({ provider }) => provider === rig.identity.peer);
      return own.length >= ATTEMPTS_PER_PROVIDER || own.some(({ reason }) => reason === null);
    });
  }

  /** The receipts that count, of all jobs, as they are on the requester's disk. */
  async accepted(): Promise<{ readonly job: JobId; readonly lease: LeaseId; readonly receipt: Receipt }[]> {
    const store = new JobStore(this.requester);
    const found = [];
    for (const [job, view] of this.ended) {
      const objects = await store.loadObjects(job);
      for (const lease of view.result?.agreeing ?? []) {
        const wire = objects.find((object) => object.lease === lease && object.kind === 'receipt')?.wire;
        if (wire === undefined) throw new TypeError(`the receipt of ${lease} is missing`);
        found.push({ job, lease, receipt: (await openSigned(RECEIPT, wire)).value });
      }
    }
    return found;
  }

  /** What providers have written of a lease; several records would be several runs. */
  async recordsOf(lease: LeaseId) {
    const records = await Promise.all(this.providers.map(({ rig }) => new LeaseStore(rig.database).get(lease)));
    return records.filter((record) => record !== undefined);
  }

  historyOf(job: JobId) {
    return new JobStore(this.requester).loadHistory(job);
  }

  async stop(): Promise<void> {
    await this.requester.requester.stop();
  }
}
