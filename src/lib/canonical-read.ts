import { CID } from 'multiformats/cid';

/** Thrown by the reader and caught at its entry. */
const BEYOND = new RangeError('left to the general decoder');
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** Up to this length ASCII is put together here: cheaper than a call of the decoder. */
const SHORT_TEXT_BYTES = 32;

export const NOT_READ = Symbol('not read');

/**
 * The value of bytes in which `findFormFault` found none: nothing is checked again. NOT_READ for what is rare (integers
 * that a number cannot hold, a key that would set a prototype), which the general decoder reads.
 */
export function readCanonical(bytes: Uint8Array): unknown {
  try {
    return new Reader(bytes).readItem();
  } catch (error) {
    if (error === BEYOND) return NOT_READ;
    throw error;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  readItem(): unknown {
    const initial = this.#bytes[this.#offset++] as number;
    const info = initial & 31;
    switch (initial >> 5) {
      case 0:
        return this.#readArgument(info);
      case 1:
        return this.#readNegative(info);
      case 2:
        return this.#readBytes(this.#readArgument(info));
      case 3:
        return this.#readText(this.#readArgument(info));
      case 4:
        return this.#readArray(this.#readArgument(info));
      case 5:
        return this.#readMap(this.#readArgument(info));
      case 6:
        return this.#readLink(info);
      default:
        return this.#readSimple(initial);
    }
  }

  #readArgument(info: number): number {
    if (info < 24) return info;
    const start = this.#offset;
    const size = 1 << (info - 24);
    this.#offset = start + size;
    if (size === 1) return this.#bytes[start] as number;
    if (size === 2) return this.#view.getUint16(start);
    if (size === 4) return this.#view.getUint32(start);
    const argument = this.#view.getUint32(start) * 2 ** 32 + this.#view.getUint32(start + 4);
    if (!Number.isSafeInteger(argument)) throw BEYOND;
    return argument;
  }

  #readNegative(info: number): number {
    const value = -1 - this.#readArgument(info);
    if (!Number.isSafeInteger(value)) throw BEYOND;
    return value;
  }

  /** A copy: what is read may outlive the buffer that it came in. */
  #readBytes(length: number): Uint8Array {
    const start = this.#offset;
    this.#offset = start + length;
    return new Uint8Array(this.#bytes.subarray(start, this.#offset));
  }

  #readText(length: number): string {
    const start = this.#offset;
    const end = start + length;
    this.#offset = end;
    if (length <= SHORT_TEXT_BYTES) {
      let text = '';
      let offset = start;
      for (; offset < end; offset++) {
        const byte = this.#bytes[offset] as number;
        if (byte > 127) break;
        text += String.fromCharCode(byte);
      }
      if (offset === end) return text;
    }
    return UTF8.decode(this.#bytes.subarray(start, end));
  }

  #readArray(length: number): unknown[] {
    const items: unknown[] = [];
    for (let left = length; left > 0; left--) items.push(this.readItem());
    return items;
  }

  #readMap(length: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let left = length; left > 0; left--) {
      const key = this.#readText(this.#readArgument((this.#bytes[this.#offset++] as number) & 31));
      if (key === '__proto__') throw BEYOND;
      map[key] = this.readItem();
    }
    return map;
  }

  /** Tag 42 around a byte string whose first byte is zero. */
  #readLink(info: number): CID {
    this.#readArgument(info);
    const link = this.#readBytes(this.#readArgument((this.#bytes[this.#offset++] as number) & 31));
    return CID.decode(link.subarray(1));
  }

  #readSimple(initial: number): boolean | null | number {
    if (initial === 0xf4) return false;
    if (initial === 0xf5) return true;
    if (initial === 0xf6) return null;
    const start = this.#offset;
    this.#offset = start + 8;
    return this.#view.getFloat64(start);
  }
}
