import { CID } from 'multiformats/cid';
import { LINK_BYTES, Link, writeLinkBytes } from './link.ts';

/** Room to begin with; it doubles as far as a frame of a batch needs. */
const SCRATCH_BYTES = 16 * 1024;
/** What is written here is at most this long, in bytes; longer objects go to the general encoder. */
const MAX_SCRATCH_BYTES = 8 * 1024 * 1024;
/** Larger ones are not kept for the next. */
const MAX_SPARE_BYTES = 256 * 1024;
const MAX_DEPTH = 64;
const MAX_HEAD_BYTES = 9;
/** Insertion takes the square of the number; what a peer may choose the number of is sorted. */
const MAX_INSERTED_KEYS = 32;

/** One is kept; a writer that is entered again, by a getter of what it writes, takes a new one. */
let spare: Uint8Array | null = null;

/**
 * Canonical dag-cbor of what most messages are made of: plain objects with ASCII keys, arrays, ASCII text, safe integers,
 * bytes, booleans, null, CIDs and links. Null for anything else, which the general encoder writes or refuses.
 */
export function writeCanonical(value: unknown): Uint8Array | null {
  const scratch = spare ?? new Uint8Array(SCRATCH_BYTES);
  spare = null;
  const writer = new Writer(scratch);
  const isWritten = writer.writeItem(value, MAX_DEPTH);
  const bytes = isWritten ? writer.copy() : null;
  if (writer.bytes.length <= MAX_SPARE_BYTES) spare = writer.bytes;
  return bytes;
}

class Writer {
  #bytes: Uint8Array;
  end = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  copy(): Uint8Array {
    return this.#bytes.slice(0, this.end);
  }

  /** False if the item must be left to the general encoder. */
  writeItem(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case 'string':
        return this.#writeText(value);
      case 'number':
        return this.#writeInteger(value);
      case 'boolean':
        return this.#writeByte(value ? 0xf5 : 0xf4);
      case 'object':
        return value === null ? this.#writeByte(0xf6) : this.#writeObject(value, depth - 1);
      default:
        return false;
    }
  }

  #hasRoom(size: number): boolean {
    return this.end + size + MAX_HEAD_BYTES <= this.#bytes.length || this.#grow(this.end + size + MAX_HEAD_BYTES);
  }

  #grow(sizeBytes: number): boolean {
    if (sizeBytes > MAX_SCRATCH_BYTES) return false;
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(sizeBytes)));
    larger.set(this.#bytes.subarray(0, this.end));
    this.#bytes = larger;
    return true;
  }

  #writeByte(byte: number): boolean {
    if (!this.#hasRoom(1)) return false;
    this.#bytes[this.end++] = byte;
    return true;
  }

  /** RFC 8949 section 4.2.1: the shortest head. Whoever calls has seen that there is room. */
  #writeHead(major: number, argument: number): void {
    const bytes = this.#bytes;
    const top = major << 5;
    if (argument < 24) {
      bytes[this.end++] = top | argument;
      return;
    }
    const size = argument < 0x100 ? 1 : argument < 0x1_0000 ? 2 : argument < 2 ** 32 ? 4 : 8;
    bytes[this.end++] = top | (size === 1 ? 24 : size === 2 ? 25 : size === 4 ? 26 : 27);
    if (size === 8) this.#writeUint(Math.floor(argument / 2 ** 32), 4);
    this.#writeUint(argument % 2 ** 32, Math.min(size, 4));
  }

  #writeUint(value: number, size: number): void {
    for (let shift = 8 * (size - 1); shift >= 0; shift -= 8) this.#bytes[this.end++] = value >>> shift;
  }

  #writeInteger(value: number): boolean {
    if (!Number.isSafeInteger(value) || !this.#hasRoom(0)) return false;
    if (value < 0) this.#writeHead(1, -1 - value);
    else this.#writeHead(0, value);
    return true;
  }

  #writeText(text: string): boolean {
    const { length } = text;
    if (!this.#hasRoom(length)) return false;
    this.#writeHead(3, length);
    const bytes = this.#bytes;
    let end = this.end;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code > 127) return false;
      bytes[end++] = code;
    }
    this.end = end;
    return true;
  }

  #writeBytes(bytes: Uint8Array): boolean {
    if (!this.#hasRoom(bytes.length)) return false;
    this.#writeHead(2, bytes.length);
    this.#bytes.set(bytes, this.end);
    this.end += bytes.length;
    return true;
  }

  #writeObject(value: object, depth: number): boolean {
    if (depth === 0) return false;
    if (Array.isArray(value)) return this.#writeArray(value, depth);
    if (value instanceof Uint8Array) return this.#writeBytes(value);
    if (value instanceof Link) return this.#writeLinkText(value);
    if (value instanceof CID) return this.#writeLink((value as CID).bytes);
    const prototype: unknown = Object.getPrototypeOf(value);
    return prototype === Object.prototype && this.#writeMap(value as Record<string, unknown>, depth);
  }

  #writeArray(items: readonly unknown[], depth: number): boolean {
    if (!this.#hasRoom(0)) return false;
    this.#writeHead(4, items.length);
    for (const item of items) if (!this.writeItem(item, depth)) return false;
    return true;
  }

  #writeMap(map: Record<string, unknown>, depth: number): boolean {
    if (!this.#hasRoom(0)) return false;
    // What looks like a CID of another copy of the library is its business to recognize.
    if ('/' in map || 'asCID' in map) return false;
    const keys = sortKeys(Object.keys(map));
    this.#writeHead(5, keys.length);
    for (const key of keys) if (!this.#writeText(key) || !this.writeItem(map[key], depth)) return false;
    return true;
  }

  #writeLinkText(link: Link): boolean {
    if (!this.#hasRoom(LINK_BYTES + 5)) return false;
    this.#writeHead(6, 42);
    this.#writeHead(2, LINK_BYTES + 1);
    this.#bytes[this.end++] = 0;
    const isWritten = writeLinkBytes(this.#bytes, this.end, link);
    this.end += LINK_BYTES;
    return isWritten;
  }

  /** Tag 42 over the bytes of a CID: a byte string whose first byte is the zero of the identity multibase. */
  #writeLink(bytes: Uint8Array): boolean {
    if (!this.#hasRoom(bytes.length + 5)) return false;
    this.#writeHead(6, 42);
    this.#writeHead(2, bytes.length + 1);
    this.#bytes[this.end++] = 0;
    this.#bytes.set(bytes, this.end);
    this.end += bytes.length;
    return true;
  }
}

/** In place, by insertion: keys come in order, or nearly so, and `sort` allocates 2 KB even for a few of them. */
function sortKeys(keys: string[]): string[] {
  if (keys.length > MAX_INSERTED_KEYS) return keys.sort(compareKeys);
  for (let index = 1; index < keys.length; index++) {
    const key = keys[index] as string;
    let place = index;
    for (; place > 0 && compareKeys(keys[place - 1] as string, key) > 0; place--)
      keys[place] = keys[place - 1] as string;
    keys[place] = key;
  }
  return keys;
}

/** By length, then by bytes. Keys that are not ASCII are never written here. */
function compareKeys(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
