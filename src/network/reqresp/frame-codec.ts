/**
 * Frames of the request protocols: a 4-byte big-endian length, then the canonical dag-cbor array [kind, id, body].
 * The array's head is read and written here so that a frame can be dispatched before its body is decoded.
 */
import { FRAME_PREFIX_BYTES } from '../constants.ts';
import { NetworkError } from '../errors.ts';

/** Kinds of frames. Numbers, once used, keep their meaning. */
export const FRAME_KINDS = {
  /** requester → responder; body: the request. Answered by responses and an end, or an error. */
  request: 0,
  /** The same, but only the first response is wanted; it comes as `last`. */
  requestOne: 1,
  /** requester → responder; body null. Confirmed by an end, unless the answer ended before. */
  cancel: 2,
  /** requester → responder; body: response bytes taken since the last credit. */
  credit: 3,
  /** responder → requester; body: a response. */
  response: 4,
  /** responder → requester; body: the only or last response. */
  last: 5,
  /** responder → requester; body null. */
  end: 6,
  /** responder → requester; body: the error's code. */
  error: 7,
} as const satisfies Record<string, number>;
export type FrameKind = (typeof FRAME_KINDS)[keyof typeof FRAME_KINDS];

export const MAX_REQUEST_ID = 0xffff_ffff;
const LAST_KIND = 7;
/** Array of three. */
const ARRAY_HEAD = 0x83;
/** Longest head of a frame: array, kind, id of 5 bytes. */
export const MAX_FRAME_HEAD_BYTES = 7;

/** Canonical dag-cbor of null. */
export const NULL_BODY = Uint8Array.of(0xf6);

export interface Frame {
  readonly kind: FrameKind;
  readonly id: number;
  /** Canonical dag-cbor, not yet decoded. A view of the received bytes. */
  readonly body: Uint8Array;
}

/** A body of which the end stays where it is: it is written after the rest, uncopied. */
export interface SplitBody {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** A frame with its length in front, in one piece. */
export function encodeFrame(kind: FrameKind, id: number, body: Uint8Array): Uint8Array {
  return encodeFrameHead({ kind, id, body }, 0);
}

/** A frame up to the last `tailBytes` of its body. */
export function encodeFrameHead({ kind, id, body }: Frame, tailBytes: number): Uint8Array {
  const idBytes = id < 24 ? 1 : id < 0x100 ? 2 : id < 0x1_0000 ? 3 : 5;
  const length = 2 + idBytes + body.length + tailBytes;
  const bytes = new Uint8Array(FRAME_PREFIX_BYTES + length - tailBytes);
  bytes[0] = length >>> 24;
  bytes[1] = length >>> 16;
  bytes[2] = length >>> 8;
  bytes[3] = length;
  bytes[4] = ARRAY_HEAD;
  bytes[5] = kind;
  writeId(bytes, id, idBytes);
  bytes.set(body, FRAME_PREFIX_BYTES + 2 + idBytes);
  return bytes;
}

function writeId(bytes: Uint8Array, id: number, idBytes: number): void {
  if (idBytes === 1) {
    bytes[6] = id;
    return;
  }
  bytes[6] = idBytes === 2 ? 0x18 : idBytes === 3 ? 0x19 : 0x1a;
  for (let index = 1; index < idBytes; index++) bytes[6 + index] = id >>> (8 * (idBytes - 1 - index));
}

/** Reads the head of a frame (without its length). @throws NetworkError NETWORK_BAD_FRAME */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes[0] !== ARRAY_HEAD) throw badFrame('it is not an array of three');
  const kind = bytes[1];
  if (kind === undefined || kind > LAST_KIND) throw badFrame('its kind is unknown');
  const { id, end } = readId(bytes);
  if (end >= bytes.length) throw badFrame('its body is missing');
  return { kind: kind as FrameKind, id, body: bytes.subarray(end) };
}

function readId(bytes: Uint8Array): { id: number; end: number } {
  const head = bytes[2];
  if (head === undefined) throw badFrame('its id is missing');
  if (head < 24) return { id: head, end: 3 };
  const idBytes = head === 0x18 ? 1 : head === 0x19 ? 2 : head === 0x1a ? 4 : 0;
  if (idBytes === 0) throw badFrame('its id is not an unsigned integer of at most 32 bits');
  if (bytes.length < 3 + idBytes) throw badFrame('its id is cut off');
  let id = 0;
  for (let index = 0; index < idBytes; index++) id = id * 256 + (bytes[3 + index] as number);
  if (id < (idBytes === 1 ? 24 : idBytes === 2 ? 0x100 : 0x1_0000)) throw badFrame('its id is not in canonical form');
  return { id, end: 3 + idBytes };
}

function badFrame(reason: string): NetworkError {
  return new NetworkError({ code: 'NETWORK_BAD_FRAME', reason });
}
