import type { Clock } from '../lib/clock.ts';

export interface SlotTickerModules {
  readonly clock: Clock;
  readonly advance: () => Promise<void>;
  /** It makes no more slots after that. */
  readonly onFailure: (error: unknown) => void;
}

/** Begins a slot every `slotMs`; when one took longer, the next begins at once and none is made up for. */
export class SlotTicker implements AsyncDisposable {
  readonly #modules: SlotTickerModules;
  readonly #slotMs: number;
  #timer: Disposable;
  #dueMs: number;
  #advancing: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(modules: SlotTickerModules, options: { readonly slotMs: number }) {
    this.#modules = modules;
    this.#slotMs = options.slotMs;
    this.#dueMs = modules.clock.monotonicMs() + options.slotMs;
    this.#timer = this.#schedule();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer[Symbol.dispose]();
    await this.#advancing;
  }

  #schedule(): Disposable {
    const delayMs = Math.max(0, this.#dueMs - this.#modules.clock.monotonicMs());
    return this.#modules.clock.schedule(delayMs, () => {
      this.#advancing = this.#tick();
    });
  }

  async #tick(): Promise<void> {
    try {
      await this.#modules.advance();
    } catch (error) {
      this.#modules.onFailure(error);
      return;
    }
    this.#dueMs = Math.max(this.#dueMs + this.#slotMs, this.#modules.clock.monotonicMs());
    if (!this.#isStopped) this.#timer = this.#schedule();
  }
}
