import { FastClock } from './network.ts';

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** Real time that can be moved on at once: what becomes due by that fires. */
export class JumpClock extends FastClock {
  readonly #timers = new Set<Timer>();

  override monotonicMs(): number {
    return super.monotonicMs() + this.shiftMs;
  }

  override schedule(delayMs: number, task: () => void): Disposable {
    const fire = (): void => {
      real[Symbol.dispose]();
      this.#timers.delete(timer);
      task();
    };
    const timer = { dueMs: this.monotonicMs() + delayMs, fire };
    const real = super.schedule(delayMs, fire);
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        real[Symbol.dispose]();
        this.#timers.delete(timer);
      },
    };
  }

  jump(ms: number): void {
    this.shiftMs += ms;
    const nowMs = this.monotonicMs();
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const timer of due) if (this.#timers.has(timer)) timer.fire();
  }
}
