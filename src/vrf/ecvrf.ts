/**
 * ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381 sections 5.1 to 5.3, suite 0x03 of section 5.5):
 *   prove:   Gamma = x·H, c = challenge(Y, H, Gamma, k·B, k·H), s = k + c·x mod q, pi = Gamma ‖ c ‖ s
 *   verify:  U = s·B − c·Y, V = s·H − c·Gamma, c = challenge(Y, H, Gamma, U, V)
 *   output:  beta = SHA-512(0x03 ‖ 0x03 ‖ 8·Gamma ‖ 0x00)
 * Verification always validates the key (5.4.5), so that the output is unique even if its owner made the key with care.
 *
 * Timing. The secret scalars x and k are multiplied with the library's constant-time, blinded multiplication. The tries
 * of encode_to_curve depend on the public key and the input alone, which are public wherever this is used: do not use
 * it where the input is secret. JavaScript's bigints are not constant-time below that, and secrets cannot be wiped from
 * memory: docs/decisions/0014-ecvrf.md has what that means.
 */
import { mulAddUnsafe } from '@noble/curves/abstract/curve.js';
import { bytesToNumberLE } from '@noble/curves/utils.js';
import { areBytesEqual, concatBytes } from '../lib/bytes.ts';
import { InternalError } from '../lib/errors.ts';
import {
  CHALLENGE_BYTES,
  type CurvePoint,
  computeChallenge,
  computeNonce,
  computeOutput,
  decodePoint,
  encodeToCurve,
  expandSecretKey,
  ORDER,
  POINT_BYTES,
  Point,
  SCALAR_BYTES,
} from './ecvrf-steps.ts';

export const VRF_PUBLIC_KEY_BYTES = POINT_BYTES;
export const VRF_PROOF_BYTES = POINT_BYTES + CHALLENGE_BYTES + SCALAR_BYTES;
export const VRF_OUTPUT_BYTES = 64;

/** What is wrong with a key or a proof: the first thing that is found. */
export type VrfFault =
  /** The public key has not 32 bytes. */
  | 'key-length'
  /** The public key is no point, or not in its only encoding. */
  | 'key-encoding'
  /** 8·Y is the identity: such a key would give every input one output that all know. */
  | 'key-small-order'
  /** The proof has not 80 bytes. */
  | 'proof-length'
  /** Gamma is no point, or not in its only encoding. */
  | 'gamma-encoding'
  /** s is q or more: a second encoding of another proof. */
  | 'scalar-range'
  /** No try maps the input to the curve; one input in 2^256. */
  | 'input-unmappable'
  /** The proof is not of this key, this input and this Gamma. */
  | 'challenge-mismatch';

export type VrfVerdict =
  | { readonly kind: 'valid'; readonly output: Uint8Array }
  | { readonly kind: 'invalid'; readonly reason: VrfFault };

/**
 * ECVRF_prove. The same key and input always give the same proof.
 * @param secretKey 32 bytes, secret. @returns pi, 80 bytes @throws RangeError unless the key has 32 bytes
 */
export function proveVrf(secretKey: Uint8Array, input: Uint8Array): Uint8Array {
  const { scalar: x, noncePrefix } = expandSecretKey(secretKey);
  const publicKey = Point.BASE.multiply(x).toBytes();
  const encoded = encodeToCurve(publicKey, input);
  if (encoded === undefined) throw new InternalError('a VRF input that no try maps to the curve');
  const { point } = encoded;
  const hashPoint = point.toBytes();
  const gamma = point.multiply(x).toBytes();
  const k = computeNonce(noncePrefix, hashPoint);
  const u = Point.BASE.multiply(k).toBytes();
  const v = point.multiply(k).toBytes();
  const challenge = computeChallenge([publicKey, hashPoint, gamma, u, v]);
  const s = Point.Fn.create(k + challenge.scalar * x);
  return concatBytes(gamma, challenge.bytes, Point.Fn.toBytes(s));
}

/** ECVRF_verify with validate_key = TRUE. Takes any bytes and never throws. */
export function verifyVrf(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): VrfVerdict {
  const key = decodeKey(publicKey);
  if (typeof key === 'string') return { kind: 'invalid', reason: key };
  const decoded = decodeProof(proof);
  if (typeof decoded === 'string') return { kind: 'invalid', reason: decoded };
  const encoded = encodeToCurve(publicKey, input);
  if (encoded === undefined) return { kind: 'invalid', reason: 'input-unmappable' };
  const { gamma, challenge, s } = decoded;
  const { point } = encoded;
  // c is not reduced and stays with the negated point: Y and Gamma may have a part of small order.
  const c = bytesToNumberLE(challenge);
  const u = mulAddUnsafe(Point, [Point.BASE, key.negate()], [s, c]);
  const v = mulAddUnsafe(Point, [point, gamma.negate()], [s, c]);
  const gammaBytes = proof.subarray(0, POINT_BYTES);
  const expected = computeChallenge([publicKey, point.toBytes(), gammaBytes, u.toBytes(), v.toBytes()]);
  if (!areBytesEqual(expected.bytes, challenge)) return { kind: 'invalid', reason: 'challenge-mismatch' };
  return { kind: 'valid', output: computeOutput(gamma) };
}

/**
 * ECVRF_proof_to_hash, 64 bytes. Only of a proof that was made here or verified: a proof that was not says nothing.
 * @throws RangeError if the bytes are no proof at all
 */
export function computeVrfOutput(proof: Uint8Array): Uint8Array {
  const decoded = decodeProof(proof);
  if (typeof decoded === 'string') throw new RangeError(`these bytes are no VRF proof: ${decoded}`);
  return computeOutput(decoded.gamma);
}

/** ECVRF_validate_key; null if the key may be used. */
export function findVrfKeyFault(publicKey: Uint8Array): VrfFault | null {
  const key = decodeKey(publicKey);
  return typeof key === 'string' ? key : null;
}

function decodeKey(publicKey: Uint8Array): CurvePoint | VrfFault {
  if (publicKey.length !== VRF_PUBLIC_KEY_BYTES) return 'key-length';
  const point = decodePoint(publicKey);
  if (point === undefined) return 'key-encoding';
  return point.isSmallOrder() ? 'key-small-order' : point;
}

interface DecodedProof {
  readonly gamma: CurvePoint;
  readonly challenge: Uint8Array;
  readonly s: bigint;
}

/** ECVRF_decode_proof (5.4.4). */
function decodeProof(proof: Uint8Array): DecodedProof | VrfFault {
  if (proof.length !== VRF_PROOF_BYTES) return 'proof-length';
  const gamma = decodePoint(proof.subarray(0, POINT_BYTES));
  if (gamma === undefined) return 'gamma-encoding';
  const s = bytesToNumberLE(proof.subarray(POINT_BYTES + CHALLENGE_BYTES));
  if (s >= ORDER) return 'scalar-range';
  return { gamma, challenge: proof.subarray(POINT_BYTES, POINT_BYTES + CHALLENGE_BYTES), s };
}
