import type { Clock } from '../../src/lib/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly task: () => void;
}

/** Time that stands still until it is moved. Wall and monotonic time move together from different starts. */
export class SteppedClock implements Clock {
  readonly #startMs = 1_700_000_000_000;
  readonly #timers = new Set<Timer>();
  #elapsedMs = 0;

  nowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  schedule(delayMs: number, task: () => void): Disposable {
    const timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), task };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time forward; timers fire in order, and what they start settles before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    for (;;) {
      await settle();
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      this.#timers.delete(next);
      next.task();
    }
    this.#elapsedMs = endMs;
    await settle();
  }
}

/** Lets every task that can go on without time go on: signatures take a few turns of the loop. */
export async function settle(turns = 12): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
