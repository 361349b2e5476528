import type { JsonRpcResponse } from './json-rpc.ts';

/** Answers that are so short are never left out: they may say that something was done. */
const SHORT_ANSWER_BYTES = 16 * 1024;

/** The answers to one batch, each as text from when it is there, and together inside a bound. */
export class BatchAnswer {
  readonly #maxBytes: number;
  readonly #texts: (string | undefined)[] = [];
  #bytes = 0;

  constructor({ maxBytes }: { readonly maxBytes: number }) {
    this.#maxBytes = maxBytes;
  }

  /** True once the bound is reached: what was not begun should not be. */
  get isFull(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  /** Takes the answer to one request of the batch, or if there is no room for it what is said instead. */
  set(place: number, response: JsonRpcResponse, refuse: () => JsonRpcResponse): void {
    const text = JSON.stringify(response);
    const bytes = Buffer.byteLength(text);
    const isLeftOut = bytes > SHORT_ANSWER_BYTES && this.#bytes + bytes > this.#maxBytes;
    this.#texts[place] = isLeftOut ? JSON.stringify(refuse()) : text;
    this.#bytes = isLeftOut ? this.#maxBytes : this.#bytes + bytes;
  }

  /** In the order of the requests. Undefined if there were notifications only, which have no answer. */
  render(): string | undefined {
    const texts = this.#texts.filter((text) => text !== undefined);
    return texts.length === 0 ? undefined : `[${texts.join(',')}]`;
  }
}
