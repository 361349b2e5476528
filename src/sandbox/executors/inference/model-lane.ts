import type { Clock } from '../../../lib/clock.ts';
import type { Slots } from '../slots.ts';
import { chooseBatch } from './choose-batch.ts';
import { WARM_MODEL_SHARE } from './constants.ts';
import { ItemReceiver } from './item-receiver.ts';
import type { LaneTask } from './lane-task.ts';
import { loadModel } from './load-model.ts';
import type { ChildEnd, ModelChild } from './model-child.ts';
import { type PreparedCall, prepareCall } from './prepare-call.ts';
import { type CallShare, timeCall } from './time-call.ts';
import { type WarmModel, WarmModels } from './warm-models.ts';

export interface LaneModules {
  readonly clock: Clock;
  /** A child that is ready. @throws SandboxError */
  readonly startChild: () => Promise<ModelChild>;
  /** Calls that run at the same time on this node. */
  readonly slots: Slots;
  readonly onCrash: (end: ChildEnd, isConfidential: boolean) => void;
  readonly onCall: (rows: number) => void;
}

interface HeldChild {
  readonly child: ModelChild;
  readonly models: WarmModels;
  /** Tasks that have had anything done in it. */
  readonly users: Set<LaneTask>;
}

/** The attempts of one requester with the same memory and threads, and the child that they share, one call after the other. */
export class ModelLane {
  readonly #modules: LaneModules;
  readonly #memoryBytes: number;
  readonly #closing = new AbortController();
  #tasks: LaneTask[] = [];
  #held: HeldChild | null = null;
  /** Children that are being ended. */
  readonly #leaving = new Set<Promise<void>>();
  /** Tasks that what the child does now is for. */
  #running: readonly LaneTask[] | null = null;
  #pump: Promise<void> | null = null;
  /** Since when nothing is left to do, monotonic ms; null while something is. */
  idleSinceMs: number | null;

  constructor(modules: LaneModules, { memoryBytes }: { readonly memoryBytes: number }) {
    this.#modules = modules;
    this.#memoryBytes = memoryBytes;
    this.idleSinceMs = modules.clock.monotonicMs();
  }

  get hasChild(): boolean {
    return this.#held !== null;
  }

  add(task: LaneTask): void {
    this.idleSinceMs = null;
    this.#tasks.push(task);
    this.#pump ??= this.#run();
  }

  /** A call that it shares with others goes on, and what it gives for it is dropped. */
  cancel(task: LaneTask): void {
    task.end({ kind: 'attempt-failed', code: 'CANCELLED', detail: 'cancelled' });
    if (this.#running?.every((other) => other === task) === true) this.#held?.child.kill('cancelled');
  }

  /** Ends the child and whatever runs in it. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const task of this.#tasks) this.cancel(task);
    this.#held?.child.kill('closed');
    await this.#pump;
    await this.#closeChild();
    await Promise.all(this.#leaving);
  }

  async #run(): Promise<void> {
    try {
      for (this.#forget(); this.#tasks.length > 0; this.#forget()) await this.#turn();
    } finally {
      this.#pump = null;
      this.idleSinceMs = this.#modules.clock.monotonicMs();
    }
  }

  #forget(): void {
    this.#tasks = this.#tasks.filter(({ isOver }) => !isOver);
  }

  /** One call of a model. Never rejects: what goes wrong is the end of the task that it is for. */
  async #turn(): Promise<void> {
    const [lead] = this.#tasks;
    if (lead === undefined) return;
    try {
      await this.#modules.slots.take(this.#closing.signal);
    } catch {
      return this.cancel(lead);
    }
    try {
      const held = await this.#holdChild(lead);
      if (lead.isOver) return;
      const model = await this.#load(held, lead);
      if (model !== null && !lead.isOver) await this.#call(held, model);
    } catch (error) {
      lead.reject(error);
    } finally {
      this.#modules.slots.give();
    }
  }

  /** A task that is alone gets a child that nobody else has used. */
  async #holdChild(lead: LaneTask): Promise<HeldChild> {
    const held = this.#held;
    const isOwn = held !== null && [...held.users].every((user) => user === lead);
    if (held?.child.isAlive === true && (!lead.isAlone || isOwn)) return held;
    await this.#closeChild();
    return await this.#openChild();
  }

  async #openChild(): Promise<HeldChild> {
    const child = await this.#modules.startChild();
    const models = new WarmModels(this.#memoryBytes * WARM_MODEL_SHARE);
    this.#held = { child, models, users: new Set() };
    return this.#held;
  }

  async #closeChild(): Promise<void> {
    const held = this.#held;
    this.#held = null;
    await held?.child.close();
  }

  /** Null if the task has ended or has to begin anew. */
  async #load(held: HeldChild, lead: LaneTask): Promise<WarmModel | null> {
    const known = held.models.get(lead.session);
    if (known !== undefined) return known;
    const end = await this.#timed(held, [{ task: lead, rows: 1 }], () => loadModel(held, lead));
    switch (end.kind) {
      case 'loaded':
        return end.model;
      case 'refused':
        lead.fail({ code: 'MODEL_REFUSED', detail: end.message });
        return null;
      case 'gone':
        this.#blame(held, [lead], end.end);
        return null;
      default:
        return end satisfies never;
    }
  }

  async #call(held: HeldChild, model: WarmModel): Promise<void> {
    const waiting = this.#tasks.filter(({ isOver }) => !isOver);
    const call = prepareCall(chooseBatch(waiting, model), model);
    if (call === null) return;
    const { shares, limits, order, following } = call;
    const tasks = [...new Set(shares.map(({ task }) => task))];
    for (const task of tasks) held.users.add(task);
    const receiver = new ItemReceiver(limits, model.outputs);
    const end = await this.#timed(held, shares, () => held.child.run(order, following, receiver));
    if (end.kind === 'gone') return this.#blame(held, tasks, end.end);
    this.#modules.onCall(call.rows);
    this.#conclude(call, receiver, model);
  }

  async #timed<End>(held: HeldChild, shares: readonly CallShare[], work: () => Promise<End>): Promise<End> {
    this.#running = shares.map(({ task }) => task);
    using _timing = timeCall(this.#modules.clock, held.child, shares);
    try {
      return await work();
    } finally {
      this.#running = null;
    }
  }

  #conclude({ chosen, rows }: PreparedCall, { failure, ends }: ItemReceiver, model: WarmModel): void {
    if (failure !== null && chosen.length > 1) {
      // It may be the call of many that failed, or one of its items: each is tried alone.
      model.isBatchable = false;
      return;
    }
    for (const task of new Set(chosen.map(({ task }) => task))) {
      task.calls += 1;
      task.largestBatchRows = Math.max(task.largestBatchRows, rows);
    }
    for (const [index, { task, item }] of chosen.entries()) {
      const end = ends[index];
      if (failure !== null) task.fail({ code: 'INFERENCE_FAILED', detail: `item ${item.name}: ${failure.message}` });
      else if (end?.kind === 'answered') task.answer(item, end.answer, rows);
      else task.fail({ code: 'OUTPUT_LIMIT', detail: `item ${item.name} gives ${end?.sizeBytes ?? 0} bytes` });
    }
  }

  /**
   * A child that ended is the fault of the task that was alone in it from the beginning. Of others it is not known: each runs
   * once more, in a child of its own.
   */
  #blame(held: HeldChild, tasks: readonly LaneTask[], end: ChildEnd): void {
    if (this.#held === held) this.#held = null;
    const closing = held.child.close().finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
    const involved = new Set([...held.users, ...tasks]);
    const alive = [...new Set(tasks)].filter(({ isOver }) => !isOver);
    if (alive.length === 0) return;
    this.#modules.onCrash(
      end,
      alive.some(({ parts }) => parts.isConfidential),
    );
    const [only] = alive;
    if (involved.size > 1 || only === undefined) {
      for (const task of alive) task.isAlone = true;
      return;
    }
    if (end.isOutOfMemory) return only.fail({ code: 'MEMORY_LIMIT', detail: '' });
    only.end({ kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: end.description });
  }
}
