import { describeError } from '../lib/errors.ts';
import type { Logger } from '../telemetry/interface.ts';

/** Work that nobody waits for, until the network stops: then it is waited for. */
export class BackgroundTasks {
  readonly #logger: Logger;
  readonly #isStopping: () => boolean;
  readonly #running = new Set<Promise<void>>();

  constructor(logger: Logger, isStopping: () => boolean) {
    this.#logger = logger;
    this.#isStopping = isStopping;
  }

  /** A failure is logged, unless it comes from stopping. */
  run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (this.#isStopping()) return;
        this.#logger.warn({ reason: describeError(error) }, 'background work of the network failed');
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
