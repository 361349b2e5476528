import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveVrfKey } from '../../../src/identity/vrf-key.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';
import {
  computeVrfOutput,
  findVrfKeyFault,
  proveVrf,
  VRF_OUTPUT_BYTES,
  VRF_PROOF_BYTES,
  verifyVrf,
} from '../../../src/vrf/ecvrf.ts';
import {
  CHALLENGE_BYTES,
  type CurvePoint,
  computeChallenge,
  encodeToCurve,
  expandSecretKey,
  ORDER,
  POINT_BYTES,
  Point,
} from '../../../src/vrf/ecvrf-steps.ts';

const secretKeys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const inputs = fc.uint8Array({ maxLength: 100 });
const FEW = { numRuns: 6 };

const key = deriveVrfKey(new Uint8Array(32).fill(1));
const input = new Uint8Array(60).fill(2);
const proof = proveVrf(key.secretKey, input);

/** A point of order 8 (RFC 9381 section 5.6.1 has its encoding among the "bad points"). */
const ORDER_8 = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');

/** A valid proof with another Gamma, as the owner of the key can make one: it tries nonces until 8 divides c. */
function proveWithGamma(secretKey: Uint8Array, torsion: CurvePoint): Uint8Array {
  const { scalar: x } = expandSecretKey(secretKey);
  const publicKey = Point.BASE.multiplyUnsafe(x).toBytes();
  const point = encodeToCurve(publicKey, input)?.point ?? Point.ZERO;
  const gamma = point.multiplyUnsafe(x).add(torsion).toBytes();
  for (let k = 1n; ; k += 1n) {
    const u = Point.BASE.multiplyUnsafe(k).toBytes();
    const v = point.multiplyUnsafe(k).toBytes();
    const c = computeChallenge([publicKey, point.toBytes(), gamma, u, v]);
    if (c.scalar % 8n === 0n) return concatBytes(gamma, c.bytes, Point.Fn.toBytes(Point.Fn.create(k + c.scalar * x)));
  }
}

describe('a proof', () => {
  it('verifies, and its output is that of the proof', () => {
    fc.assert(
      fc.property(secretKeys, inputs, (secretKey, alpha) => {
        const made = proveVrf(secretKey, alpha);
        expect(made).toHaveLength(VRF_PROOF_BYTES);
        const verdict = verifyVrf(ed25519.getPublicKey(secretKey), alpha, made);
        expect(verdict).toEqual({ kind: 'valid', output: computeVrfOutput(made) });
        expect(computeVrfOutput(made)).toHaveLength(VRF_OUTPUT_BYTES);
        expect(proveVrf(secretKey, alpha)).toEqual(made);
      }),
      FEW,
    );
  });

  it('with any bit flipped does not', () => {
    for (let bit = 0; bit < VRF_PROOF_BYTES * 8; bit += 29) {
      const altered = proof.slice();
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyVrf(key.publicKey, input, altered).kind, `bit ${bit}`).toBe('invalid');
    }
  });

  it('does not for another input or another key', () => {
    fc.assert(
      fc.property(secretKeys, inputs, (secretKey, alpha) => {
        expect(verifyVrf(ed25519.getPublicKey(secretKey), input, proof).kind).toBe('invalid');
        expect(verifyVrf(key.publicKey, alpha, proof).kind).toBe('invalid');
      }),
      FEW,
    );
  });

  it('of garbage is refused, never thrown at', () => {
    const near = (length: number) => fc.uint8Array({ minLength: length - 1, maxLength: length + 1 });
    fc.assert(
      fc.property(near(32), inputs, near(VRF_PROOF_BYTES), (publicKey, alpha, garbage) => {
        expect(verifyVrf(publicKey, alpha, garbage).kind).toBe('invalid');
        expect(verifyVrf(key.publicKey, alpha, garbage).kind).toBe('invalid');
      }),
      { numRuns: 40 },
    );
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void findVrfKeyFault(bytes)));
  });
});

describe('an output', () => {
  it('is the only one of its key and input, also where there is another valid proof', () => {
    const honest = verifyVrf(key.publicKey, input, proof);
    const other = proveWithGamma(key.secretKey, ORDER_8);
    expect(other.subarray(0, POINT_BYTES)).not.toEqual(proof.subarray(0, POINT_BYTES));
    expect(verifyVrf(key.publicKey, input, other)).toEqual(honest);
    expect(honest.kind).toBe('valid');
  });

  it('is not given for a key of small order, to which every input has the same one', () => {
    const zero = Point.ZERO.toBytes();
    const point = encodeToCurve(zero, input)?.point ?? Point.ZERO;
    const u = Point.BASE.multiply(5n).toBytes();
    const v = point.multiply(5n).toBytes();
    const c = computeChallenge([zero, point.toBytes(), zero, u, v]);
    // Y and Gamma are the identity and x is 0: without validation this proof holds.
    const forged = concatBytes(zero, c.bytes, Point.Fn.toBytes(5n));
    expect(verifyVrf(zero, input, forged)).toEqual({ kind: 'invalid', reason: 'key-small-order' });
    expect(findVrfKeyFault(zero)).toBe('key-small-order');
  });

  it('needs a proof', () => {
    expect(() => computeVrfOutput(proof.subarray(1))).toThrow(RangeError);
    expect(() => computeVrfOutput(new Uint8Array(VRF_PROOF_BYTES).fill(255))).toThrow('gamma-encoding');
  });
});

describe('what is refused, with its reason', () => {
  const s = POINT_BYTES + CHALLENGE_BYTES;

  it('a second encoding of s', () => {
    const value = Point.Fn.fromBytes(proof.subarray(s));
    const shifted = (value + ORDER).toString(16).padStart(64, '0');
    const altered = concatBytes(proof.subarray(0, s), new Uint8Array(Buffer.from(shifted, 'hex').reverse()));
    expect(verifyVrf(key.publicKey, input, altered)).toEqual({ kind: 'invalid', reason: 'scalar-range' });
  });

  it('keys and proofs of another length', () => {
    expect(verifyVrf(key.publicKey.subarray(1), input, proof)).toEqual({ kind: 'invalid', reason: 'key-length' });
    expect(verifyVrf(key.publicKey, input, proof.subarray(1))).toEqual({ kind: 'invalid', reason: 'proof-length' });
    expect(() => proveVrf(new Uint8Array(31), input)).toThrow(RangeError);
  });

  it('bytes that are no point', () => {
    const notPoint = new Uint8Array(32).fill(255);
    expect(verifyVrf(notPoint, input, proof)).toEqual({ kind: 'invalid', reason: 'key-encoding' });
    const altered = concatBytes(notPoint, proof.subarray(32));
    expect(verifyVrf(key.publicKey, input, altered)).toEqual({ kind: 'invalid', reason: 'gamma-encoding' });
  });

  it('a point whose x is zero with the sign of the other', () => {
    const negativeZero = Point.ZERO.toBytes();
    negativeZero[31] = 0x80;
    expect(findVrfKeyFault(negativeZero)).toBe('key-encoding');
  });
});
