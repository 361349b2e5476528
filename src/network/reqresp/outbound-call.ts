import { RESPONSE_OVERHEAD_BYTES } from '../constants.ts';

/** A body of this many bytes came in several pieces of the connection and was put together in a buffer of its own. */
const OWN_BUFFER_BYTES = 128 * 1024;

export interface OutboundCallOptions {
  readonly windowBytes: number;
  /** Gives the other side credit for bytes that were taken. */
  readonly grant: (bytes: number) => void;
}

/** One request's side of the requester: responses that came and were not yet taken, within the window. */
export class OutboundCall {
  readonly #options: OutboundCallOptions;
  readonly #queue: Uint8Array[] = [];
  #wake: (() => void) | null = null;
  #error: Error | null = null;
  #hasEnded = false;
  #windowBytes: number;
  #ungrantedBytes = 0;

  constructor(options: OutboundCallOptions) {
    this.#options = options;
    this.#windowBytes = options.windowBytes;
  }

  /** True once nothing more can come: ended or failed. */
  get isSettled(): boolean {
    return this.#hasEnded || this.#error !== null;
  }

  /** False if the response exceeds the credit that the other side had. The last frame may pass it. */
  accept(body: Uint8Array): boolean {
    if (this.#windowBytes <= 0) return false;
    this.#windowBytes -= body.length + RESPONSE_OVERHEAD_BYTES;
    // A small body is a view of a larger buffer of the connection's: what waits here is copied out of it.
    this.#queue.push(body.length >= OWN_BUFFER_BYTES ? body : body.slice());
    this.#resume();
    return true;
  }

  end(): void {
    this.#hasEnded = true;
    this.#resume();
  }

  fail(error: Error): void {
    if (this.isSettled) return;
    this.#error = error;
    this.#resume();
  }

  /** The next response; undefined at the end. @throws what `fail` was given, after what came before it is taken */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#queue.length === 0) {
      if (this.#error !== null) throw this.#error;
      if (this.#hasEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const body = this.#queue.shift() as Uint8Array;
    this.#credit(body.length + RESPONSE_OVERHEAD_BYTES);
    return body;
  }

  #credit(bytes: number): void {
    this.#ungrantedBytes += bytes;
    if (this.isSettled || this.#ungrantedBytes < this.#options.windowBytes / 2) return;
    this.#windowBytes += this.#ungrantedBytes;
    this.#options.grant(this.#ungrantedBytes);
    this.#ungrantedBytes = 0;
  }

  #resume(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
