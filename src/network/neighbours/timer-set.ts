import type { Clock } from '../../lib/clock.ts';

/** Timers of one part, that end with it. */
export class TimerSet {
  readonly #clock: Clock;
  readonly #timers = new Set<Disposable>();
  #isStopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(delayMs: number, task: () => void): void {
    if (this.#isStopped) return;
    const timer = this.#clock.schedule(delayMs, () => {
      this.#timers.delete(timer);
      task();
    });
    this.#timers.add(timer);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
  }
}
