import { TeeError } from '../errors.ts';

/** One at a time, in the order of asking. */
export class SerialQueue {
  readonly #what: string;
  readonly #maxWaiting: number;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: { readonly what: string; readonly maxWaiting: number }) {
    this.#what = options.what;
    this.#maxWaiting = options.maxWaiting;
  }

  /** Settles as the task does; it is not begun once the signal has aborted. @throws TeeError TEE_BUSY */
  async run<Result>(task: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    if (this.#waiting >= this.#maxWaiting) {
      throw new TeeError({ code: 'TEE_BUSY', what: this.#what, reason: `${this.#waiting} others wait for it` });
    }
    this.#waiting += 1;
    const turn = this.#last.then(async () => {
      this.#waiting -= 1;
      signal.throwIfAborted();
      return task();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
