/**
 * DER (X.690, section 10) read strictly: definite and minimal lengths, tags of one byte, nothing after the end. BER's
 * other forms are refused, so that what is parsed has one encoding.
 */
import { encodeHex } from '../../lib/bytes.ts';
import { TeeError } from '../errors.ts';
import { TAG } from './constants.ts';

export interface DerElement {
  readonly tag: number;
  /** Where its tag is, counted from the start of the outermost bytes. */
  readonly offset: number;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

export class DerReader {
  readonly #what: string;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  #at = 0;

  /** `what` names the thing in errors; `base` is added to their offsets. */
  constructor(what: string, bytes: Uint8Array, base = 0) {
    this.#what = what;
    this.#bytes = bytes;
    this.#base = base;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag that comes next; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  fail(reason: string, offset = this.#base + this.#at): never {
    throw new TeeError({ code: 'TEE_MALFORMED', what: this.#what, offset, reason });
  }

  readAny(): DerElement {
    const start = this.#at;
    const tag = this.#byteAt(start);
    if ((tag & 0x1f) === 0x1f) this.fail('a tag of more than one byte');
    const { length, header } = this.#readLength(start + 1);
    const contentStart = start + 1 + header;
    const end = contentStart + length;
    if (end > this.#bytes.length) this.fail(`${length} bytes of content are announced and fewer are left`);
    this.#at = end;
    return {
      tag,
      offset: this.#base + start,
      whole: this.#bytes.subarray(start, end),
      content: this.#bytes.subarray(contentStart, end),
    };
  }

  read(tag: number): DerElement {
    const next = this.nextTag;
    if (next !== tag) {
      this.fail(
        `tag 0x${tag.toString(16)} expected, found ${next === undefined ? 'the end' : `0x${next.toString(16)}`}`,
      );
    }
    return this.readAny();
  }

  readOptional(tag: number): DerElement | undefined {
    return this.nextTag === tag ? this.readAny() : undefined;
  }

  /** A reader of the content of an element that this reader gave. */
  open(element: DerElement): DerReader {
    return new DerReader(this.#what, element.content, element.offset + element.whole.length - element.content.length);
  }

  enter(tag: number): DerReader {
    return this.open(this.read(tag));
  }

  assertEnd(): void {
    if (!this.isAtEnd) this.fail(`${this.#bytes.length - this.#at} bytes too many`);
  }

  #byteAt(index: number): number {
    return this.#bytes[index] ?? this.fail('it ends early');
  }

  #readLength(at: number): { readonly length: number; readonly header: number } {
    const first = this.#byteAt(at);
    if (first < 0x80) return { length: first, header: 1 };
    const count = first & 0x7f;
    if (count === 0 || count > 4) this.fail('a length that is indefinite or of more than four bytes');
    let length = 0;
    for (let index = 1; index <= count; index++) length = length * 256 + this.#byteAt(at + index);
    if (length < 0x80 || length < 256 ** (count - 1)) this.fail('a length that is not in its shortest form');
    return { length, header: 1 + count };
  }
}

/** Dotted notation. */
export function readObjectIdentifier(reader: DerReader): string {
  const { content } = reader.read(TAG.objectIdentifier);
  const parts: number[] = [];
  let value = 0;
  for (const [index, byte] of content.entries()) {
    if (value === 0 && byte === 0x80) reader.fail('an object identifier that is not in its shortest form');
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) reader.fail('an object identifier with a huge part');
    if (byte < 0x80) {
      parts.push(value);
      value = 0;
    } else if (index === content.length - 1) reader.fail('an object identifier that ends early');
  }
  const first = parts.shift() ?? reader.fail('an empty object identifier');
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...parts].join('.');
}

/** Content of an INTEGER or ENUMERATED: big-endian two's complement. */
export function readIntegerBytes(reader: DerReader, tag: number = TAG.integer): Uint8Array {
  const { content } = reader.read(tag);
  const [first, second] = content;
  if (first === undefined) reader.fail('an empty integer');
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    reader.fail('an integer that is not in its shortest form');
  }
  return content;
}

/** A non-negative integer below 2^53. */
export function readSmallInteger(reader: DerReader, tag: number = TAG.integer): number {
  const content = readIntegerBytes(reader, tag);
  if ((content[0] ?? 0) >= 0x80 || content.length > 7) reader.fail('an integer that is negative or too large');
  return content.reduce((sum, byte) => sum * 256 + byte, 0);
}

export function readBoolean(reader: DerReader): boolean {
  const { content } = reader.read(TAG.boolean);
  const [value] = content;
  if (content.length !== 1 || (value !== 0 && value !== 0xff)) reader.fail('a boolean that is neither 00 nor ff');
  return value === 0xff;
}

/** A BIT STRING of whole bytes. */
export function readBitString(reader: DerReader): Uint8Array {
  const { content } = reader.read(TAG.bitString);
  if (content[0] !== 0) reader.fail('a bit string that is not of whole bytes');
  return content.subarray(1);
}

const TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/u;

/** UTCTime or GeneralizedTime in the forms of RFC 5280, section 4.1.2.5; Unix ms. */
export function readTime(reader: DerReader): number {
  const element = reader.readAny();
  const text = String.fromCharCode(...element.content.subarray(0, 20));
  const full = element.tag === TAG.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const isTime = element.tag === TAG.utcTime || element.tag === TAG.generalizedTime;
  const match = TIME.exec(full);
  if (!isTime || match === null) return reader.fail('not a time', element.offset);
  const iso = full.replace(TIME, '$1-$2-$3T$4:$5:$6.000Z');
  const timeMs = Date.parse(iso);
  if (Number.isNaN(timeMs) || new Date(timeMs).toISOString() !== iso)
    reader.fail(`no such time: ${text}`, element.offset);
  return timeMs;
}

/** Hex of an integer without leading zero bytes, for comparison. */
export function formatSerial(bytes: Uint8Array): string {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  return encodeHex(bytes.subarray(start));
}
