import type { Clock } from '../../../lib/clock.ts';
import type { LaneTask } from './lane-task.ts';
import type { ModelChild } from './model-child.ts';
import { type LaneModules, ModelLane } from './model-lane.ts';

/** What the attempts of a lane share: nothing of it may differ between the jobs of one child. */
export interface LaneKey {
  readonly requester: string;
  readonly memoryBytes: number;
  readonly threads: number;
}

export interface LanesModules extends Omit<LaneModules, 'startChild'> {
  readonly clock: Clock;
  readonly startChild: (key: LaneKey) => Promise<ModelChild>;
}

/** The lanes of all requesters. A child is never another requester's; the one that was idle longest makes room for another. */
export class Lanes implements AsyncDisposable {
  readonly #modules: LanesModules;
  readonly #options: { readonly maxChildren: number; readonly idleExpiryMs: number };
  readonly #lanes = new Map<string, ModelLane>();
  /** Of confidential tasks: each is one's alone, and ends with it. */
  readonly #single = new Set<ModelLane>();
  #sweep: Disposable | null = null;

  constructor(modules: LanesModules, options: { readonly maxChildren: number; readonly idleExpiryMs: number }) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Lanes that have a child. */
  get size(): number {
    return [...this.#lanes.values(), ...this.#single].filter(({ hasChild }) => hasChild).length;
  }

  /** Runs a task to its end; an abort ends it. @throws SandboxError if no child can be started */
  async run(key: LaneKey, task: LaneTask, signal: AbortSignal) {
    const isSingle = task.parts.isConfidential;
    const lane = isSingle ? this.#createLane(key) : this.#laneOf(key);
    if (isSingle) this.#single.add(lane);
    const onAbort = (): void => lane.cancel(task);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      else lane.add(task);
      return await task.ended;
    } finally {
      signal.removeEventListener('abort', onAbort);
      // What it has read stays in the memory of its child.
      if (isSingle) await lane.close();
      this.#single.delete(lane);
      this.#scheduleSweep();
    }
  }

  #laneOf(key: LaneKey): ModelLane {
    const name = JSON.stringify([key.requester, key.memoryBytes, key.threads]);
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = this.#createLane(key);
    this.#lanes.set(name, lane);
    return lane;
  }

  #createLane(key: LaneKey): ModelLane {
    const { startChild, ...modules } = this.#modules;
    const start = async (): Promise<ModelChild> => {
      this.#makeRoom();
      return await startChild(key);
    };
    return new ModelLane({ ...modules, startChild: start }, { memoryBytes: key.memoryBytes });
  }

  #makeRoom(): void {
    const idle = [...this.#lanes].flatMap(([name, lane]) =>
      lane.idleSinceMs === null ? [] : [{ name, lane, sinceMs: lane.idleSinceMs }],
    );
    idle.sort((a, b) => a.sinceMs - b.sinceMs);
    for (const { name, lane } of idle) {
      if (this.size < this.#options.maxChildren) return;
      this.#drop(name, lane);
    }
  }

  #drop(name: string, lane: ModelLane): void {
    this.#lanes.delete(name);
    void lane.close();
  }

  #scheduleSweep(): void {
    if (this.#sweep !== null || this.#lanes.size === 0) return;
    this.#sweep = this.#modules.clock.schedule(this.#options.idleExpiryMs, () => this.#expire());
  }

  #expire(): void {
    this.#sweep = null;
    const deadline = this.#modules.clock.monotonicMs() - this.#options.idleExpiryMs;
    for (const [name, lane] of this.#lanes) {
      if (lane.idleSinceMs !== null && lane.idleSinceMs <= deadline) this.#drop(name, lane);
    }
    this.#scheduleSweep();
  }

  /** Ends every child, and what runs in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = null;
    const lanes = [...this.#lanes.values(), ...this.#single];
    this.#lanes.clear();
    await Promise.all(lanes.map((lane) => lane.close()));
  }
}
