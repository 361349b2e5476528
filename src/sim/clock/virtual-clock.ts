import type { Clock } from '../../lib/clock.ts';
import { IndexedHeap } from '../../lib/indexed-heap.ts';
import { SimulationError } from '../errors.ts';

interface Timer {
  readonly atMs: number;
  /** Timers of one time fire in the order in which they were set. */
  readonly order: number;
  readonly task: () => void;
}

/** Events at one time before it is said that time stands still: a timer that sets itself anew without delay. */
const MOST_AT_ONE_TIME = 1_000_000;

export interface VirtualClockOptions {
  readonly startMs: number;
  readonly mostAtOneTime?: number;
}

/**
 * Time that jumps from event to event. What an event sets off by promises alone is finished before the next event,
 * so that a run depends on nothing but its seed.
 */
export class VirtualClock implements Clock {
  readonly #startMs: number;
  readonly #mostAtOneTime: number;
  readonly #timers = new IndexedHeap<Timer>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order));
  #elapsedMs = 0;
  #order = 0;
  #fired = 0;

  constructor(options: VirtualClockOptions) {
    this.#startMs = options.startMs;
    this.#mostAtOneTime = options.mostAtOneTime ?? MOST_AT_ONE_TIME;
  }

  nowMs(): number {
    // Whole, as Date.now() is: times enter signed objects.
    return this.#startMs + Math.floor(this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  /** Events that have happened. */
  get fired(): number {
    return this.#fired;
  }

  get pending(): number {
    return this.#timers.size;
  }

  schedule(delayMs: number, task: () => void): Disposable {
    const timer: Timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order++, task };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.remove(timer) };
  }

  /** Resolves after `delayMs` of virtual time. */
  async wait(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.schedule(delayMs, resolve));
  }

  /** Lets `ms` pass: fires what falls due, in order. @throws SimulationError SIM_STUCK if an event sets itself anew for ever */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await settle();
    let atOneTime = 0;
    for (let next = this.#timers.peek(); next !== undefined && next.atMs <= endMs; next = this.#timers.peek()) {
      atOneTime = next.atMs === this.#elapsedMs ? atOneTime + 1 : 0;
      if (atOneTime > this.#mostAtOneTime) throw new SimulationError({ code: 'SIM_STUCK', atMs: this.nowMs() });
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      this.#timers.remove(next);
      this.#fired += 1;
      next.task();
      await settle();
    }
    this.#elapsedMs = endMs;
  }
}

/** One turn of the event loop begins only when every promise that can go on has gone on. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
