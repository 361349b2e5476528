/** Reads LevelDB's numbers from bytes that may be anything: `undefined` once they do not fit. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset: number;
  #isBad = false;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Something did not fit; all that was read since is worth nothing. */
  get isBad(): boolean {
    return this.#isBad;
  }

  get isAtEnd(): boolean {
    return this.#isBad || this.#offset >= this.#bytes.length;
  }

  uint8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : (this.#bytes[at] as number);
  }

  uint32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  uint64(): bigint {
    const at = this.#take(8);
    return at < 0 ? 0n : this.#view.getBigUint64(at, true);
  }

  /** A varint of at most 64 bits; what is above 2^53 does not fit. */
  varint(): number {
    let value = 0;
    for (let place = 0; place < 10; place += 1) {
      const byte = this.uint8();
      value += (byte & 0x7f) * 2 ** (7 * place);
      if (byte < 0x80) break;
    }
    if (value > Number.MAX_SAFE_INTEGER) this.#isBad = true;
    return this.#isBad ? 0 : value;
  }

  take(length: number): Uint8Array {
    const at = this.#take(length);
    return at < 0 ? new Uint8Array() : this.#bytes.subarray(at, at + length);
  }

  /** Bytes behind their length. */
  string(): Uint8Array {
    return this.take(this.varint());
  }

  #take(length: number): number {
    const at = this.#offset;
    if (this.#isBad || at + length > this.#bytes.length) {
      this.#isBad = true;
      return -1;
    }
    this.#offset = at + length;
    return at;
  }
}
