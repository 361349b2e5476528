import { FairQueue, type QueueEntry } from '../../src/scheduler/provider/queue/fair-queue.ts';

/** Jobs that come together; each holds a slot for its cost. */
export interface SimulatedWork extends QueueEntry {
  readonly costsMs: readonly number[];
  /** What the provider expects each of them to cost. */
  readonly expectedMs: number;
}

export interface SimulatedStart {
  readonly work: SimulatedWork;
  readonly atMs: number;
  readonly endMs: number;
}

export interface SimulationOptions {
  readonly slots: number;
  /** How often it ages and charges what runs, as the pulse does. */
  readonly beatMs?: number;
  /** Nothing starts after this. */
  readonly untilMs?: number;
}

interface Running {
  readonly start: SimulatedStart;
  chargedMs: number;
}

/** A provider of which only the queue is real: slots, jobs and time are played. */
export class QueueSimulation {
  readonly starts: SimulatedStart[] = [];
  /** Longest time that a slot was free while something waited, ms. */
  idleMs = 0;
  readonly #options: SimulationOptions;
  readonly #queue = new FairQueue<SimulatedWork>({ maxDebts: 1_000 });
  readonly #arriving: SimulatedWork[];
  readonly #next = new Map<SimulatedWork, number>();
  readonly #running = new Set<Running>();
  #nowMs = 0;

  constructor(works: readonly SimulatedWork[], options: SimulationOptions) {
    this.#options = options;
    this.#arriving = [...works].sort((a, b) => a.sinceMs - b.sinceMs);
  }

  run(): this {
    const { beatMs = 250, untilMs = Number.POSITIVE_INFINITY } = this.#options;
    let nextBeatMs = beatMs;
    for (;;) {
      const ends = [...this.#running].map(({ start }) => start.endMs);
      const arrives = this.#arriving[0]?.sinceMs ?? Number.POSITIVE_INFINITY;
      const nextMs = Math.min(arrives, ...ends, this.#queue.size > 0 ? nextBeatMs : Number.POSITIVE_INFINITY);
      if (!Number.isFinite(nextMs) || nextMs > untilMs) return this;
      if (this.#queue.size > 0 && this.#running.size < this.#options.slots) this.idleMs += nextMs - this.#nowMs;
      this.#nowMs = nextMs;
      if (nextMs >= nextBeatMs) {
        this.#beat();
        nextBeatMs = nextMs + beatMs;
      }
      this.#end();
      this.#arrive();
      this.#start();
    }
  }

  #beat(): void {
    for (const running of this.#running) {
      const excessMs = this.#nowMs - running.start.atMs - running.chargedMs;
      if (excessMs <= 0) continue;
      running.chargedMs += excessMs;
      this.#queue.charge(running.start.work, excessMs);
    }
    this.#queue.age(this.#nowMs);
  }

  #end(): void {
    for (const running of this.#running) {
      const { start, chargedMs } = running;
      if (start.endMs > this.#nowMs) continue;
      this.#running.delete(running);
      this.#queue.settle(start.work, start.work.expectedMs, start.endMs - start.atMs - chargedMs);
    }
  }

  #arrive(): void {
    while ((this.#arriving[0]?.sinceMs ?? Number.POSITIVE_INFINITY) <= this.#nowMs) {
      const work = this.#arriving.shift();
      if (work === undefined) return;
      this.#next.set(work, 0);
      this.#queue.add(work, this.#nowMs);
    }
  }

  #start(): void {
    while (this.#running.size < this.#options.slots) {
      const [work] = this.#queue.inOrder();
      if (work === undefined) return;
      const index = this.#next.get(work) ?? 0;
      const costMs = work.costsMs[index] ?? 0;
      this.#next.set(work, index + 1);
      this.#queue.serve(work, work.expectedMs, this.#nowMs);
      if (index + 1 >= work.costsMs.length) this.#queue.remove(work);
      const start = { work, atMs: this.#nowMs, endMs: this.#nowMs + costMs };
      this.starts.push(start);
      this.#running.add({ start, chargedMs: work.expectedMs });
    }
  }
}

/** Slot time that each owner had between two moments, ms. */
export function sumService(
  starts: readonly SimulatedStart[],
  window: { readonly fromMs: number; readonly toMs: number },
): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { work, atMs, endMs } of starts) {
    const heldMs = Math.max(0, Math.min(endMs, window.toMs) - Math.max(atMs, window.fromMs));
    sums.set(work.owner, (sums.get(work.owner) ?? 0) + heldMs);
  }
  return sums;
}

/** How long the first job of some work waited, ms. */
export function waitOf(starts: readonly SimulatedStart[], work: SimulatedWork): number {
  const first = starts.find((start) => start.work === work);
  return first === undefined ? Number.POSITIVE_INFINITY : first.atMs - work.sinceMs;
}

export function describeWork(
  change: Partial<SimulatedWork> & { readonly jobs?: number; readonly costMs?: number } = {},
) {
  const { jobs = 1, costMs = 10, ...fields } = change;
  const work: SimulatedWork = {
    owner: 'a',
    priority: 'normal',
    form: jobs > 1 ? 'batch' : 'single',
    sinceMs: 0,
    expectedMs: costMs,
    costsMs: Array.from({ length: jobs }, () => costMs),
    ...fields,
  };
  return work;
}
