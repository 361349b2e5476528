import type { Clock } from '../../lib/clock.ts';

/** A signal that aborts with `createReason()` when nothing was reported for `silentMs`, or with its parent. */
export class StallWatch implements Disposable {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #silentMs: number;
  readonly #createReason: () => Error;
  readonly #parent: AbortSignal | undefined;
  readonly #onParentAbort: () => void;
  #lastMs: number;
  #timer: Disposable | undefined;

  constructor(
    modules: { readonly clock: Clock },
    options: {
      readonly silentMs: number;
      readonly createReason: () => Error;
      readonly signal?: AbortSignal | undefined;
    },
  ) {
    this.#clock = modules.clock;
    this.#silentMs = options.silentMs;
    this.#createReason = options.createReason;
    this.#lastMs = modules.clock.monotonicMs();
    const parent = options.signal;
    this.#parent = parent;
    this.#onParentAbort = () => this.#controller.abort(parent?.reason);
    if (parent?.aborted === true) this.#onParentAbort();
    else parent?.addEventListener('abort', this.#onParentAbort, { once: true });
    this.#arm(this.#silentMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  report(): void {
    this.#lastMs = this.#clock.monotonicMs();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#parent?.removeEventListener('abort', this.#onParentAbort);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.schedule(delayMs, () => {
      const leftMs = this.#lastMs + this.#silentMs - this.#clock.monotonicMs();
      if (leftMs > 0) this.#arm(leftMs);
      else this.#controller.abort(this.#createReason());
    });
  }
}
