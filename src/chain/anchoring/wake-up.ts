import type { Clock } from '../../lib/clock.ts';

/** One sleeper, woken by time, by `wake` or by its signal; a wake that comes before the sleep ends it at once. */
export class WakeUp {
  readonly #clock: Clock;
  #isAwake = false;
  #resolve: (() => void) | undefined;

  constructor(modules: { readonly clock: Clock }) {
    this.#clock = modules.clock;
  }

  wake(): void {
    this.#isAwake = true;
    this.#resolve?.();
  }

  /** @param ms null: until woken */
  async sleep(ms: number | null, signal: AbortSignal): Promise<void> {
    if (!this.#isAwake && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resolve = resolve;
      signal.addEventListener('abort', resolve as () => void, { once: true });
      using _timer = ms === null ? undefined : this.#clock.schedule(ms, resolve);
      await promise;
      signal.removeEventListener('abort', resolve as () => void);
      this.#resolve = undefined;
    }
    this.#isAwake = false;
  }
}
