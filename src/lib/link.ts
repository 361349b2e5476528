/**
 * The one form of link that the objects of this network have: a CIDv1 with a one-byte codec and a SHA-256 of 32 bytes,
 * as its base32 text. The class CID of multiformats is general: it parses text through iterators and keeps what it
 * printed in a WeakMap, which took 0.1 ms of a job's 0.9 ms and a third of the garbage of a batch.
 */

const CID_BYTES = 36;
/** One letter for the base, then five bits a letter. */
const TEXT_CHARS = 59;
const SHA2_256 = 0x12;
const DIGEST_BYTES = 32;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const BASE32_PREFIX = 'b'.charCodeAt(0);

const letters = Uint8Array.from(ALPHABET, (letter) => letter.charCodeAt(0));
/** Value of each ASCII letter of the alphabet; 255 for what is none. */
const values = new Uint8Array(128).fill(255);
for (const [value, letter] of letters.entries()) values[letter] = value;

const nodeBuffer = globalThis.Buffer;
const text = nodeBuffer === undefined ? new Uint8Array(TEXT_CHARS) : nodeBuffer.alloc(TEXT_CHARS);
const block = new Uint8Array(CID_BYTES);

/** A link between its text in memory and its bytes on the wire; whether the text is a CID is seen when it is written. */
export class Link {
  readonly codec: number;
  readonly text: string;

  constructor(codec: number, cidText: string) {
    this.codec = codec;
    this.text = cidText;
  }
}

/** The text of the CIDv1 over a SHA-256 digest of 32 bytes: what `CID.createV1(…).toString()` gives. */
export function formatDigest(codec: number, digest: Uint8Array): string {
  if (digest.length !== DIGEST_BYTES || codec > 127) throw new RangeError('a link has a small codec and 32 bytes');
  block[0] = 1;
  block[1] = codec;
  block[2] = SHA2_256;
  block[3] = DIGEST_BYTES;
  block.set(digest, 4);
  return formatAt(block, 0);
}

/** The link of the CID bytes from `start` to `end`; null if it is of another form. */
export function readLinkBytes(bytes: Uint8Array, start: number, end: number): Link | null {
  const codec = bytes[start + 1] as number;
  return isRegular(bytes, start, end) ? new Link(codec, formatAt(bytes, start)) : null;
}

function isRegular(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== CID_BYTES || bytes[start] !== 1 || (bytes[start + 1] as number) > 127) return false;
  return bytes[start + 2] === SHA2_256 && bytes[start + 3] === DIGEST_BYTES;
}

/** RFC 4648 section 6 in lower case and without padding, behind the `b` of multibase. */
function formatAt(bytes: Uint8Array, start: number): string {
  let held = 0;
  let bits = 0;
  let end = 0;
  text[end++] = BASE32_PREFIX;
  for (let offset = start; offset < start + CID_BYTES; offset++) {
    held = ((held << 8) | (bytes[offset] as number)) & 0xfff;
    for (bits += 8; bits >= 5; ) {
      bits -= 5;
      text[end++] = letters[(held >> bits) & 31] as number;
    }
  }
  text[end] = letters[(held << (5 - bits)) & 31] as number;
  return nodeBuffer === undefined ? new TextDecoder().decode(text) : (text as Buffer).toString('latin1');
}

/** True for the text of a CIDv1 of this codec over SHA-256: parsing and printing it again would give the same. */
export function isLinkText(codec: number, cidText: string): boolean {
  return writeLinkBytes(block, 0, new Link(codec, cidText));
}

/** Bytes that `writeLinkBytes` writes. */
export const LINK_BYTES = CID_BYTES;

/** Writes the CID's bytes from `offset` on; false, with anything written there, if the text is no such CID. */
export function writeLinkBytes(target: Uint8Array, offset: number, link: Link): boolean {
  const { length } = link.text;
  if (length !== TEXT_CHARS || link.text.charCodeAt(0) !== BASE32_PREFIX) return false;
  let held = 0;
  let bits = 0;
  let end = offset;
  for (let index = 1; index < TEXT_CHARS; index++) {
    const code = link.text.charCodeAt(index);
    const value = code > 127 ? 255 : (values[code] as number);
    if (value === 255) return false;
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    target[end++] = held >> bits;
  }
  // The bits left over must be zero: one CID has one text.
  return (held & ((1 << bits) - 1)) === 0 && target[offset + 1] === link.codec && isRegular(target, offset, end);
}
