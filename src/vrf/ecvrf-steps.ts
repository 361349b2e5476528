/**
 * Steps of ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381 section 5.4, suite of section 5.5), suite_string = 0x03:
 *   H = 8·point(SHA-512(0x03 ‖ 0x01 ‖ PK ‖ alpha ‖ ctr ‖ 0x00)[0..31]), first ctr = 0, 1, … that gives one  (5.4.1.1)
 *   k = SHA-512(SHA-512(SK)[32..63] ‖ H) mod q                                                                  (5.4.2.2)
 *   c = SHA-512(0x03 ‖ 0x02 ‖ P1 ‖ … ‖ P5 ‖ 0x00)[0..15]                                                        (5.4.3)
 *   pi = Gamma (32) ‖ c (16) ‖ s (32), s < q                                                                     (5.4.4)
 * Numbers are little-endian, points are encoded and decoded as in RFC 8032 sections 5.1.2 and 5.1.3, strictly.
 */
import type { EdwardsPoint } from '@noble/curves/abstract/edwards.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes } from '../lib/bytes.ts';

export const POINT_BYTES = 32;
export const CHALLENGE_BYTES = 16;
export const SCALAR_BYTES = 32;
export const SECRET_KEY_BYTES = 32;

const SUITE = 0x03;
const ENCODE_FRONT = Uint8Array.of(SUITE, 0x01);
const CHALLENGE_FRONT = Uint8Array.of(SUITE, 0x02);
const OUTPUT_FRONT = Uint8Array.of(SUITE, 0x03);
const BACK = Uint8Array.of(0x00);
/** `ctr` is one octet. */
const MAX_TRIES = 256;

export const { Point } = ed25519;
export type CurvePoint = EdwardsPoint;
/** q: the order of the prime-order subgroup. */
export const ORDER = Point.Fn.ORDER;

/** string_to_point: undefined unless `bytes` is the one encoding of a point (y < p; no negative zero). */
export function decodePoint(bytes: Uint8Array): CurvePoint | undefined {
  if (bytes.length !== POINT_BYTES) return undefined;
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    // The library's only way to say that these bytes are no point.
    return undefined;
  }
}

export interface EncodedInput {
  readonly point: CurvePoint;
  /** The try that gave the point. */
  readonly counter: number;
}

/** encode_to_curve by try and increment; undefined for the one input in 2^256 that no try maps to a point. */
export function encodeToCurve(publicKey: Uint8Array, input: Uint8Array): EncodedInput | undefined {
  const prefix = sha512.create().update(ENCODE_FRONT).update(publicKey).update(input);
  for (let counter = 0; counter < MAX_TRIES; counter++) {
    const hash = prefix.clone().update(Uint8Array.of(counter)).update(BACK).digest();
    const point = decodePoint(hash.subarray(0, POINT_BYTES))?.clearCofactor();
    if (point !== undefined && !point.is0()) return { point, counter };
  }
  return undefined;
}

export interface ExpandedKey {
  /** x mod q. */
  readonly scalar: bigint;
  /** The half of SHA-512(SK) that nonces are made from. */
  readonly noncePrefix: Uint8Array;
}

/** RFC 8032 section 5.1.5. */
export function expandSecretKey(secretKey: Uint8Array): ExpandedKey {
  if (secretKey.length !== SECRET_KEY_BYTES) throw new RangeError('a VRF secret key has 32 bytes');
  const hash = sha512(secretKey);
  const clamped = hash.slice(0, SCALAR_BYTES);
  clamped[0] = (clamped[0] ?? 0) & 0xf8;
  clamped[31] = ((clamped[31] ?? 0) & 0x7f) | 0x40;
  return { scalar: Point.Fn.create(bytesToNumberLE(clamped)), noncePrefix: hash.slice(SCALAR_BYTES) };
}

/** ECVRF_nonce_generation; `point` is the encoding of H. */
export function computeNonce(noncePrefix: Uint8Array, point: Uint8Array): bigint {
  return Point.Fn.create(bytesToNumberLE(sha512(concatBytes(noncePrefix, point))));
}

/** ECVRF_challenge_generation of the encodings of Y, H, Gamma, U and V. */
export function computeChallenge(points: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]): {
  readonly bytes: Uint8Array;
  readonly scalar: bigint;
} {
  const bytes = sha512(concatBytes(CHALLENGE_FRONT, ...points, BACK)).slice(0, CHALLENGE_BYTES);
  return { bytes, scalar: bytesToNumberLE(bytes) };
}

/** ECVRF_proof_to_hash of a Gamma that is known to be a point. */
export function computeOutput(gamma: CurvePoint): Uint8Array {
  return sha512(concatBytes(OUTPUT_FRONT, gamma.clearCofactor().toBytes(), BACK));
}
