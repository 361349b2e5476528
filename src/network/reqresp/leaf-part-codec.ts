/**
 * The one message that bulk consists of, as the general codec writes and reads it (leaf-part-codec.test.ts holds the two
 * against each other), but without copying its bytes: four copies of each part took half of a transfer's time.
 */
import type { BlobResponse } from '../../domain/messages.ts';
import { MAX_BLOB_CHUNK_BYTES } from '../../domain/messages.ts';
import { encodeUtf8 } from '../../lib/bytes.ts';

type LeafPart = Extract<BlobResponse, { kind: 'leaf-part' }>;

/** A map of three: its keys stand by length, then by bytes (RFC 8949 section 4.2.1 as dag-cbor has it). */
const START = Uint8Array.of(
  0xa3,
  0x64,
  ...encodeUtf8('kind'),
  0x69,
  ...encodeUtf8('leaf-part'),
  0x64,
  ...encodeUtf8('leaf'),
);
const BYTES_KEY = Uint8Array.of(0x65, ...encodeUtf8('bytes'));
const UNSIGNED = 0x00;
const BYTE_STRING = 0x40;

/** Everything before the bytes of the part. */
export function encodeLeafPartHead({ leaf, bytes }: LeafPart): Uint8Array {
  const head: number[] = [...START];
  pushHead(head, UNSIGNED, leaf);
  head.push(...BYTES_KEY);
  pushHead(head, BYTE_STRING, bytes.length);
  return Uint8Array.from(head);
}

/** The part, its bytes a view of `body`; null for anything that is not the one canonical form, which the general decoder judges. */
export function decodeLeafPart(body: Uint8Array): LeafPart | null {
  if (!startsWith(body, 0, START)) return null;
  const leaf = readHead(body, START.length, UNSIGNED);
  if (leaf === null || !startsWith(body, leaf.end, BYTES_KEY)) return null;
  const length = readHead(body, leaf.end + BYTES_KEY.length, BYTE_STRING);
  if (length === null || length.value > MAX_BLOB_CHUNK_BYTES || length.end + length.value !== body.length) return null;
  return { kind: 'leaf-part', leaf: leaf.value, bytes: body.subarray(length.end) };
}

function pushHead(target: number[], major: number, value: number): void {
  const size = value < 24 ? 0 : value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 2 ** 32 ? 4 : 8;
  if (size === 0) {
    target.push(major | value);
    return;
  }
  target.push(major | (size === 1 ? 24 : size === 2 ? 25 : size === 4 ? 26 : 27));
  for (let place = size - 1; place >= 0; place--) target.push(Math.floor(value / 256 ** place) % 256);
}

function readHead(body: Uint8Array, start: number, major: number): { value: number; end: number } | null {
  const initial = body[start];
  if (initial === undefined || (initial & 0xe0) !== major) return null;
  const info = initial & 31;
  if (info < 24) return { value: info, end: start + 1 };
  if (info > 27) return null;
  const size = 1 << (info - 24);
  const end = start + 1 + size;
  if (end > body.length) return null;
  let value = 0;
  for (let offset = start + 1; offset < end; offset++) value = value * 256 + (body[offset] as number);
  const least = size === 1 ? 24 : 256 ** (size / 2);
  return value < least || !Number.isSafeInteger(value) ? null : { value, end };
}

function startsWith(body: Uint8Array, offset: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) if (body[offset + index] !== expected[index]) return false;
  return true;
}
