import type { Clock } from '../../lib/clock.ts';
import { COLLECT_RECHECK_MS, DEADLINE_LOOK_MS, DEADLINE_RECHECK_MS } from '../constants.ts';

export interface RunTimersOptions {
  readonly deadlineMs: number;
  /** A replica without a provider is given up after this long, ms. */
  readonly graceMs: number;
  /** A result that came in time is not thrown away while its files are still under way. */
  readonly isJudging: () => boolean;
  /** What was done in time and is kept for this node, which was away, is collected first. */
  readonly isCollecting: () => boolean;
  readonly onDeadline: () => void;
  readonly onGrace: () => void;
}

/** What happens to a job by time alone: its deadline, and the end of the grace for its last replicas. */
export class RunTimers {
  readonly #clock: Clock;
  readonly #options: RunTimersOptions;
  #deadline: Disposable | undefined;
  #grace: Disposable | undefined;
  #isStopped = false;

  constructor(modules: { readonly clock: Clock }, options: RunTimersOptions) {
    this.#clock = modules.clock;
    this.#options = options;
  }

  watchDeadline(): void {
    this.#deadline?.[Symbol.dispose]();
    if (this.#isStopped) return;
    const { deadlineMs, isJudging, isCollecting, onDeadline } = this.#options;
    const delayMs = deadlineMs - this.#clock.nowMs();
    if (delayMs <= 0 && !isJudging() && !isCollecting()) return onDeadline();
    const recheckMs = isJudging() ? DEADLINE_RECHECK_MS : COLLECT_RECHECK_MS;
    // A wall clock that is set right meanwhile moves the deadline: it is looked at again before long.
    const waitMs = delayMs <= 0 ? recheckMs : Math.min(delayMs, DEADLINE_LOOK_MS);
    this.#deadline = this.#clock.schedule(waitMs, () => this.watchDeadline());
  }

  watchGrace(isNeeded: boolean): void {
    if (!isNeeded) {
      this.#grace?.[Symbol.dispose]();
      this.#grace = undefined;
      return;
    }
    this.#grace ??= this.#clock.schedule(this.#options.graceMs, () => {
      this.#grace = undefined;
      this.#options.onGrace();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#deadline?.[Symbol.dispose]();
    this.watchGrace(false);
  }
}
