/**
 * The canonical form of dag-cbor (RFC 8949 section 4.2.1 as the DAG-CBOR specification narrows it), checked in one pass
 * over the bytes: shortest heads, definite lengths, maps with unique text keys sorted by length and then by bytes, no tag
 * but 42 (a CID behind a zero byte), no simple value but false, true and null, floats of 64 bits, finite and not whole
 * (JavaScript cannot tell a whole one from the integer), UTF-8 text without a byte order mark, nothing after the item.
 * What passes and decodes encodes again to the same bytes; test/unit/lib/canonical-form.test.ts holds the two against
 * each other.
 */

/** Deepest nesting; a decoder recurses as deep as its input does. */
const MAX_DEPTH = 256;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Below this length ASCII is looked for byte by byte: cheaper than a call of the decoder. */
const SHORT_TEXT_BYTES = 64;

/** Thrown by the walk and caught at its entry. */
class FormFault extends Error {
  override readonly name = 'FormFault';
}

/** Why `bytes` are not one canonical item, or null if they are. */
export function findFormFault(bytes: Uint8Array): string | null {
  try {
    const end = new Walk(bytes).skipItem(0, MAX_DEPTH);
    return end === bytes.length ? null : 'bytes follow the item';
  } catch (error) {
    if (error instanceof FormFault) return error.message;
    throw error;
  }
}

class Walk {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Argument of the head read last. A field, so that reading a head allocates nothing. */
  #argument = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The offset behind the item at `offset`. */
  skipItem(offset: number, depth: number): number {
    if (depth === 0) throw new FormFault('it is nested too deeply');
    const initial = this.#byteAt(offset);
    const major = initial >> 5;
    if (major === 7) return this.#skipSimple(offset, initial);
    const start = this.#readHead(offset, initial & 31);
    switch (major) {
      case 0:
      case 1:
        return start;
      case 2:
        return this.#skipBytes(start);
      case 3:
        return this.#skipText(start);
      case 4:
        return this.#skipArray(start, depth);
      case 5:
        return this.#skipMap(start, depth);
      default:
        return this.#skipLink(start);
    }
  }

  #byteAt(offset: number): number {
    const byte = this.#bytes[offset];
    if (byte === undefined) throw new FormFault('it ends early');
    return byte;
  }

  /** Reads the argument of a head and gives the offset behind it. RFC 8949 section 4.2.1: as short as possible. */
  #readHead(offset: number, info: number): number {
    if (info < 24) {
      this.#argument = info;
      return offset + 1;
    }
    if (info > 27) throw new FormFault('a length is indefinite or reserved');
    const size = 1 << (info - 24);
    if (offset + 1 + size > this.#bytes.length) throw new FormFault('it ends early');
    if (size === 8) {
      const high = this.#view.getUint32(offset + 1);
      if (high === 0) throw new FormFault('a number is not in its shortest form');
      this.#argument = high * 2 ** 32 + this.#view.getUint32(offset + 5);
      return offset + 9;
    }
    const argument =
      size === 1
        ? this.#byteAt(offset + 1)
        : size === 2
          ? this.#view.getUint16(offset + 1)
          : this.#view.getUint32(offset + 1);
    if (argument < (size === 1 ? 24 : size === 2 ? 0x100 : 0x1_0000)) {
      throw new FormFault('a number is not in its shortest form');
    }
    this.#argument = argument;
    return offset + 1 + size;
  }

  #skipBytes(start: number): number {
    const end = start + this.#argument;
    if (end > this.#bytes.length) throw new FormFault('it ends early');
    return end;
  }

  #skipText(start: number): number {
    const end = this.#skipBytes(start);
    if (end - start <= SHORT_TEXT_BYTES && this.#isAscii(start, end)) return end;
    // The decoder drops a byte order mark: two encodings would give one value.
    const [a, b, c] = this.#bytes.subarray(start, start + 3);
    if (a === 0xef && b === 0xbb && c === 0xbf && end - start >= 3) throw new FormFault('a text begins with a mark');
    try {
      UTF8.decode(this.#bytes.subarray(start, end));
    } catch {
      throw new FormFault('a text is not UTF-8');
    }
    return end;
  }

  #isAscii(start: number, end: number): boolean {
    for (let offset = start; offset < end; offset++) if ((this.#bytes[offset] as number) > 127) return false;
    return true;
  }

  #skipArray(start: number, depth: number): number {
    let offset = start;
    for (let left = this.#argument; left > 0; left--) offset = this.skipItem(offset, depth - 1);
    return offset;
  }

  #skipMap(start: number, depth: number): number {
    let offset = start;
    let previousStart = 0;
    let previousEnd = 0;
    for (let left = this.#argument; left > 0; left--) {
      const initial = this.#byteAt(offset);
      if (initial >> 5 !== 3) throw new FormFault('a map key is not text');
      const keyStart = this.#readHead(offset, initial & 31);
      const keyEnd = this.#skipText(keyStart);
      if (previousEnd > 0 && !this.#isAscending(previousStart, previousEnd, keyStart, keyEnd)) {
        throw new FormFault('map keys are not sorted, or one stands twice');
      }
      previousStart = keyStart;
      previousEnd = keyEnd;
      offset = this.skipItem(keyEnd, depth - 1);
    }
    return offset;
  }

  #isAscending(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const length = aEnd - aStart;
    if (length !== bEnd - bStart) return length < bEnd - bStart;
    for (let index = 0; index < length; index++) {
      const a = this.#bytes[aStart + index] as number;
      const b = this.#bytes[bStart + index] as number;
      if (a !== b) return a < b;
    }
    return false;
  }

  /** Tag 42: a byte string whose first byte is the zero of the identity multibase. */
  #skipLink(start: number): number {
    if (this.#argument !== 42) throw new FormFault('a tag is not 42');
    const initial = this.#byteAt(start);
    if (initial >> 5 !== 2) throw new FormFault('a link is not a byte string');
    const linkStart = this.#readHead(start, initial & 31);
    const end = this.#skipBytes(linkStart);
    if (end === linkStart || this.#bytes[linkStart] !== 0) throw new FormFault('a link has no leading zero byte');
    if (!this.#isCid(linkStart + 1, end)) throw new FormFault('a link is not a CID in canonical form');
    return end;
  }

  /** CIDv0: sha2-256 of 32 bytes. CIDv1: version, codec, hash and length as shortest varints, then the digest. */
  #isCid(start: number, end: number): boolean {
    if (this.#bytes[start] === 0x12) return this.#bytes[start + 1] === 32 && end - start === 34;
    if (this.#bytes[start] !== 1) return false;
    let offset = start + 1;
    for (let field = 0; field < 3; field++) offset = this.#readVarint(offset, end);
    return offset > 0 && this.#argument === end - offset;
  }

  /** Reads an unsigned varint below 2^49 into the argument; -1 if it is longer or not in its shortest form. */
  #readVarint(start: number, end: number): number {
    if (start < 0) return -1;
    let value = 0;
    for (let offset = start; offset < Math.min(end, start + 7); offset++) {
      const byte = this.#bytes[offset] as number;
      value += (byte & 127) * 2 ** (7 * (offset - start));
      if (byte > 127) continue;
      if (byte === 0 && offset > start) return -1;
      this.#argument = value;
      return offset + 1;
    }
    return -1;
  }

  #skipSimple(offset: number, initial: number): number {
    if (initial === 0xf4 || initial === 0xf5 || initial === 0xf6) return offset + 1;
    if (initial !== 0xfb) throw new FormFault('a simple value or float is not of the data model');
    if (offset + 9 > this.#bytes.length) throw new FormFault('it ends early');
    const float = this.#view.getFloat64(offset + 1);
    if (!Number.isFinite(float)) throw new FormFault('a float is not finite');
    if (Number.isSafeInteger(float)) throw new FormFault('a whole number is written as a float');
    return offset + 9;
  }
}
