import { CID } from 'multiformats/cid';
import { readLinkBytes } from './link.ts';

/** Thrown by the reader and caught at its entry. */
const BEYOND = new RangeError('left to the general decoder');
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** Up to this length ASCII is put together here: cheaper than a call of the decoder. */
const SHORT_TEXT_BYTES = 64;
const SHORT_BYTES = 64;

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

/**
 * The same with a `Link` for each CID, for a reader that wants texts. NOT_READ also for a CID of another form and for a
 * float.
 */
export function readCanonicalLinks(bytes: Uint8Array): unknown {
  try {
    return new LinkReader(bytes).readItem();
  } catch (error) {
    if (error === BEYOND) return NOT_READ;
    throw error;
  }
}

/** Short texts are the same few keys and names again and again: a table of what was read, by a hash of the bytes. */
const INTERN_SLOTS = 2048;
const interned: string[] = new Array<string>(INTERN_SLOTS).fill('');

/** Null if a byte is no ASCII. */
function readShortText(bytes: Uint8Array, start: number, end: number): string | null {
  let hash = end - start;
  let all = 0;
  for (let offset = start; offset < end; offset++) {
    const byte = bytes[offset] as number;
    all |= byte;
    hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  if (all > 127) return null;
  const slot = (hash ^ (hash >>> 15)) & (INTERN_SLOTS - 1);
  const known = interned[slot] as string;
  if (isTextAt(known, bytes, start, end)) return known;
  let text = '';
  for (let offset = start; offset < end; offset++) text += String.fromCharCode(bytes[offset] as number);
  interned[slot] = text;
  return text;
}

function isTextAt(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) !== bytes[start + index]) return false;
  return true;
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
    const copy = new Uint8Array(length);
    // A view costs more than the copy of the hashes and nonces that most are.
    if (length > SHORT_BYTES) copy.set(this.#bytes.subarray(start, this.#offset));
    else for (let index = 0; index < length; index++) copy[index] = this.#bytes[start + index] as number;
    return copy;
  }

  #readText(length: number): string {
    const start = this.#offset;
    const end = start + length;
    this.#offset = end;
    const short = length <= SHORT_TEXT_BYTES ? readShortText(this.#bytes, start, end) : null;
    if (short !== null) return short;
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
  #readLink(info: number): unknown {
    this.#readArgument(info);
    const length = this.#readArgument((this.#bytes[this.#offset++] as number) & 31);
    const start = this.#offset + 1;
    this.#offset += length;
    return this.createLink(this.#bytes, start, this.#offset);
  }

  createLink(bytes: Uint8Array, start: number, end: number): unknown {
    return CID.decode(new Uint8Array(bytes.subarray(start, end)));
  }

  #readSimple(initial: number): boolean | null | number {
    if (initial === 0xf4) return false;
    if (initial === 0xf5) return true;
    if (initial === 0xf6) return null;
    return this.readFloat();
  }

  readFloat(): number {
    const start = this.#offset;
    this.#offset = start + 8;
    return this.#view.getFloat64(start);
  }
}

class LinkReader extends Reader {
  override createLink(bytes: Uint8Array, start: number, end: number): unknown {
    const link = readLinkBytes(bytes, start, end);
    if (link === null) throw BEYOND;
    return link;
  }

  override readFloat(): number {
    throw BEYOND;
  }
}
