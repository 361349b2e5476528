import type { JobId } from '../../domain/ids.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { JobView } from '../interface.ts';

/** Who waits for the end of which job. */
export class EndWaiters {
  readonly #waiters = new Map<JobId, PromiseWithResolvers<JobView>>();

  wait(job: JobId, signal: AbortSignal): Promise<JobView> {
    let waiter = this.#waiters.get(job);
    if (waiter === undefined) {
      waiter = Promise.withResolvers<JobView>();
      // Whoever waited may have left before it is rejected.
      waiter.promise.catch(() => undefined);
      this.#waiters.set(job, waiter);
    }
    return raceSignal(waiter.promise, signal);
  }

  resolve(view: JobView): void {
    this.#waiters.get(view.job)?.resolve(view);
    this.#waiters.delete(view.job);
  }

  reject(job: JobId, error: unknown): void {
    this.#waiters.get(job)?.reject(error);
    this.#waiters.delete(job);
  }

  rejectAll(error: unknown): void {
    for (const job of this.#waiters.keys()) this.reject(job, error);
  }
}
