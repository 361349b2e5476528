import { type Clock, SystemClock } from '../../src/lib/clock.ts';

/** The machine's clock, its wall time set forward or back; what is scheduled and the monotonic time go on as ever. */
export class ShiftedClock implements Clock {
  readonly #clock: Clock;
  offsetMs = 0;

  constructor(clock: Clock = new SystemClock()) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.offsetMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  schedule(delayMs: number, task: () => void): Disposable {
    return this.#clock.schedule(delayMs, task);
  }
}
