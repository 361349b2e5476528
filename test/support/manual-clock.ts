import type { Clock } from '../../src/lib/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly task: () => void;
}

/** Time that passes only when a test says so. */
export class ManualClock implements Clock {
  readonly #startMs: number;
  readonly #timers = new Set<Timer>();
  #elapsedMs = 0;

  constructor(startMs = 1_800_000_000_000) {
    this.#startMs = startMs;
  }

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

  /** Timers that have not fired: what a stopped part leaves behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Fires what is due in order of time; what each timer sets off settles before the next fires. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await settleTasks();
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      this.#timers.delete(next);
      next.task();
      await settleTasks();
    }
    this.#elapsedMs = endMs;
    await settleTasks();
  }
}

/** Lets tasks that need no time run: a signature takes a few turns of the event loop. */
export async function settleTasks(turns = 12): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves once the condition holds, without time passing; fails after `turns` turns of the event loop. */
export async function until(holds: () => boolean, turns = 2_000): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    if (holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`it never held: ${holds}`);
}
