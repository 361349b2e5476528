import { WasmError } from '../errors.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Reads a range of a module's bytes; everything that is not there is WASM_MALFORMED. */
export class ByteReader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly end: number;

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.end;
  }

  fail(reason: string): never {
    throw new WasmError({ code: 'WASM_MALFORMED', offset: this.offset, reason });
  }

  u8(): number {
    if (this.offset >= this.end) this.fail('unexpected end');
    return this.bytes[this.offset++] as number; // inside the array: checked above
  }

  u32(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let result = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.u8();
      if (shift === 28 && byte > 0x0f) this.fail('a 32-bit integer is too large');
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return result;
    }
    return this.fail('a 32-bit integer is too long');
  }

  /** A count that is bounded before anything is allocated for it. */
  count(limit: number, what: string): number {
    const value = this.u32();
    if (value > limit) throw new WasmError({ code: 'WASM_TOO_LARGE', what, value, limit });
    return value;
  }

  /** The signed 33-bit integer of a block type (binary format, section 5.4.1). */
  s33(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return (byte & 0x40) === 0 ? result : result - 2 ** (shift + 7);
    }
    return this.fail('a 33-bit integer is too long');
  }

  /** Passes over a LEB128 integer of at most `maxBytes` bytes. */
  skipLeb(maxBytes: number): void {
    for (let index = 0; index < maxBytes; index++) {
      if (this.u8() < 0x80) return;
    }
    this.fail('an integer is too long');
  }

  skip(length: number): void {
    if (length > this.end - this.offset) this.fail('unexpected end');
    this.offset += length;
  }

  slice(length: number): Uint8Array {
    const start = this.offset;
    this.skip(length);
    return this.bytes.subarray(start, start + length);
  }

  name(): string {
    const bytes = this.slice(this.u32());
    try {
      return UTF8.decode(bytes);
    } catch {
      return this.fail('a name is not UTF-8');
    }
  }
}
