import type { DeadlineQueue } from './deadline-queue.ts';

export interface CallWaitOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly createTimeoutError: () => Error;
}

/** Ends the wait for one answer: by its deadline or by the caller's signal. Dispose it when the wait is over. */
export class CallWait implements Disposable {
  readonly #options: CallWaitOptions;
  readonly #timer: Disposable;
  readonly #onAbort = (): void => this.#end(this.#options.signal?.reason as Error);
  #error: Error | null = null;
  #listener: ((error: Error) => void) | null = null;

  constructor(deadlines: DeadlineQueue, options: CallWaitOptions) {
    this.#options = options;
    this.#timer = deadlines.add(options.timeoutMs, () => this.#end(options.createTimeoutError()));
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get hasEnded(): boolean {
    return this.#error !== null;
  }

  /** Replaces who is told. Told at once if the wait has ended already. */
  listen(listener: (error: Error) => void): void {
    this.#listener = listener;
    if (this.#error !== null) listener(this.#error);
  }

  /** The promise's outcome, or the end of the wait. */
  race<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.listen(reject);
      promise.then(resolve, reject);
    });
  }

  /** The deadline was met; only the signal counts from here on. */
  disarm(): void {
    this.#timer[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#listener = null;
  }

  #end(error: Error): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#listener?.(error);
  }
}
