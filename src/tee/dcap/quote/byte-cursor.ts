import { TeeError } from '../../errors.ts';

/** Reads one field after the other; a field that is not there in full is a TeeError. */
export class ByteCursor {
  readonly #what: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(what: string, bytes: Uint8Array) {
    this.#what = what;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Everything from the start to the position. */
  before(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  expect(isAsExpected: boolean, reason: string): void {
    if (!isAsExpected) this.fail(reason);
  }

  fail(reason: string): never {
    throw new TeeError({ code: 'TEE_MALFORMED', what: this.#what, offset: this.#at, reason });
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length > this.remaining) this.fail(`${length} bytes expected and ${this.remaining} left`);
    this.#at += length;
    return start;
  }
}
