/** Time, injected so that tests and simulations are repeatable. */
export interface Clock {
  /** Unix time in ms. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Runs `task` once after `delayMs`; disposing the handle cancels it. The timer does not hold the process open. */
  schedule(delayMs: number, task: () => void): Disposable;
}

/** The longest delay a timer can take (2^31 - 1 ms); a longer one would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  schedule(delayMs: number, task: () => void): Disposable {
    const timer = setTimeout(task, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS));
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }
}
