import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { LeafIntake } from './leaf-intake.ts';
import { describeProblem, type Problem } from './problem.ts';

export interface SealTimerModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intake: Pick<LeafIntake, 'open' | 'seal'>;
  /** A batch is in flight: the open one collects on, so that many leaves share the next transaction. */
  readonly isBusy: () => boolean;
}

export interface SealTimerOptions {
  readonly maxReceipts: number;
  readonly maxWaitMs: number;
  readonly retryFirstMs: number;
}

/** Seals the open batch once it has enough leaves or its first one has waited long enough. */
export class SealTimer {
  readonly #modules: SealTimerModules;
  readonly #options: SealTimerOptions;
  #timer: Disposable | undefined;
  #isStopped = false;
  #isSealing = false;
  /** The batch that the timer is for, and since when: the clock of the day may be set back. */
  #seen: { readonly batch: number; readonly sinceMs: number } | undefined;
  #problem: Problem | null = null;

  constructor(modules: SealTimerModules, options: SealTimerOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** What keeps the open batch from being sealed. */
  get problem(): Problem | null {
    return this.#problem;
  }

  /** To be called whenever leaves came or a flight ended. */
  look(): void {
    const { intake, isBusy, clock } = this.#modules;
    const { open } = intake;
    if (this.#isStopped || this.#isSealing || open === null || isBusy()) return;
    this.#timer?.[Symbol.dispose]();
    if (this.#seen?.batch !== open.batch) this.#seen = { batch: open.batch, sinceMs: clock.monotonicMs() };
    const waitedMs = Math.max(clock.nowMs() - open.createdAtMs, clock.monotonicMs() - this.#seen.sinceMs);
    const leftMs = this.#options.maxWaitMs - waitedMs;
    if (open.leaves >= this.#options.maxReceipts || leftMs <= 0) void this.#seal();
    else this.#timer = clock.schedule(leftMs, () => this.look());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
  }

  async #seal(): Promise<void> {
    const { intake, clock, logger } = this.#modules;
    this.#isSealing = true;
    try {
      await intake.seal();
      this.#problem = null;
    } catch (error) {
      if (!this.#isStopped) {
        this.#problem = describeProblem(error);
        logger.warn({ error }, 'a batch could not be sealed; it is tried again');
        this.#timer = clock.schedule(this.#options.retryFirstMs, () => this.look());
      }
    } finally {
      this.#isSealing = false;
    }
    if (this.#problem === null) this.look();
  }
}
