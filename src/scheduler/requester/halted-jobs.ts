import type { JobId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { HALTED_RETRY_MS } from '../constants.ts';

export interface HaltedJobsModules {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Goes on with a job from what the store has of it. Rejects if the store still does not work. */
  readonly takeUp: (job: JobId) => Promise<void>;
}

/** Jobs whose progress could not be written (a full disk, say). They are taken up again now and then, until it works. */
export class HaltedJobs {
  readonly #modules: HaltedJobsModules;
  readonly #jobs = new Set<JobId>();
  #timer: Disposable | undefined;
  #isStopped = false;

  constructor(modules: HaltedJobsModules) {
    this.#modules = modules;
  }

  get size(): number {
    return this.#jobs.size;
  }

  has(job: JobId): boolean {
    return this.#jobs.has(job);
  }

  add(job: JobId): void {
    this.#jobs.add(job);
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#jobs.clear();
  }

  #arm(): void {
    if (this.#isStopped || this.#jobs.size === 0) return;
    this.#timer ??= this.#modules.clock.schedule(HALTED_RETRY_MS, () => {
      void this.#retry().finally(() => {
        this.#timer = undefined;
        this.#arm();
      });
    });
  }

  /** One after the other, and no further where the store fails again. */
  async #retry(): Promise<void> {
    const waiting = [...this.#jobs];
    for (const job of waiting) {
      if (this.#isStopped) return;
      this.#jobs.delete(job);
      try {
        await this.#modules.takeUp(job);
        this.#modules.logger.info({ jobId: job }, 'a halted job goes on');
      } catch (error) {
        this.#modules.logger.warn({ jobId: job, error }, 'a halted job cannot go on yet');
        this.#jobs.add(job);
        return;
      }
    }
  }
}
