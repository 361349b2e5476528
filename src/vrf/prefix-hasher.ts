/**
 * SHA-256(prefix ‖ message) for many messages of one prefix of 64 bytes. That is one block, and its state could be kept;
 * Node's own hashing of the whole (0.7 µs) is still faster than a kept state in JavaScript (1.6 µs).
 */
import { sha256Into } from '../lib/cid.ts';

export const PREFIX_BYTES = 64;
export const HASH_BYTES = 32;

export class PrefixHasher {
  readonly #prefix: Uint8Array;
  readonly #hash = new Uint8Array(HASH_BYTES);
  #input: Uint8Array;

  /** @throws RangeError unless `prefix` has 64 bytes */
  constructor(prefix: Uint8Array) {
    if (prefix.length !== PREFIX_BYTES) throw new RangeError('a prefix has 64 bytes');
    this.#prefix = prefix.slice();
    this.#input = this.#prefix;
  }

  /** 32 bytes that hold until the next call: whoever keeps them takes a copy. */
  hash(message: Uint8Array): Uint8Array {
    const length = PREFIX_BYTES + message.length;
    if (this.#input.length !== length) {
      this.#input = new Uint8Array(length);
      this.#input.set(this.#prefix);
    }
    this.#input.set(message, PREFIX_BYTES);
    sha256Into(this.#hash, 0, this.#input);
    return this.#hash;
  }
}
