import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { encodeHex } from '../../src/lib/bytes.ts';
import { computeVrfOutput, findVrfKeyFault, proveVrf, type VrfFault, verifyVrf } from '../../src/vrf/ecvrf.ts';
import {
  computeChallenge,
  computeNonce,
  decodePoint,
  encodeToCurve,
  expandSecretKey,
  Point,
} from '../../src/vrf/ecvrf-steps.ts';

const FIELDS = ['SK', 'PK', 'alpha', 'x', 'H', 'k_string', 'k', 'U', 'V', 'pi', 'gamma', 'beta'] as const;

interface ValidCase extends Readonly<Record<(typeof FIELDS)[number], string>> {
  readonly example: number;
  readonly suite_string: string;
  readonly ctr?: number;
}

interface NegativeCase {
  readonly name: string;
  readonly base_example: number;
  readonly suite_string: string;
  readonly PK: string;
  readonly alpha: string;
  readonly pi: string;
  readonly reason: string;
}

const TAI = '03';
const ELL2 = '04';

async function readCases<Case>(name: string): Promise<readonly Case[]> {
  const text = await readFile(new URL(`rfc9381-ecvrf/${name}.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { vectors: readonly Case[] }).vectors;
}

const decode = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** Little-endian. */
const decodeNumber = (hex: string): bigint => BigInt(`0x${encodeHex(decode(hex).reverse())}`);

const valid = await readCases<ValidCase>('vectors');
const negative = await readCases<NegativeCase>('negative');

/** Where the file's verifier and ours stop: ours looks at the key before the proof, and in the order of the RFC. */
function expectFault({ reason, name }: NegativeCase): VrfFault {
  if (reason === 's >= q') return 'scalar-range';
  if (reason === 'proof length is not 80') return 'proof-length';
  if (reason.startsWith('public key has small order')) return 'key-small-order';
  if (reason === 'challenge mismatch') return 'challenge-mismatch';
  if (name.startsWith('public-key')) return 'key-encoding';
  return 'gamma-encoding';
}

/** All that a prover computes on the way, from the secret key and alpha. */
function computeFields({ SK, alpha }: ValidCase) {
  const { scalar, noncePrefix } = expandSecretKey(decode(SK));
  const publicKey = Point.BASE.multiply(scalar).toBytes();
  const encoded = encodeToCurve(publicKey, decode(alpha));
  if (encoded === undefined) throw new TypeError('this input maps to the curve');
  const { point, counter } = encoded;
  const k = computeNonce(noncePrefix, point.toBytes());
  const gamma = point.multiply(scalar).toBytes();
  const u = Point.BASE.multiply(k).toBytes();
  const v = point.multiply(k).toBytes();
  const challenge = computeChallenge([publicKey, point.toBytes(), gamma, u, v]).bytes;
  return { publicKey, point, counter, scalar, k, gamma, u, v, challenge };
}

describe('RFC 9381 appendix B.3, ECVRF-EDWARDS25519-SHA512-TAI', () => {
  const cases = valid.filter(({ suite_string: suite }) => suite === TAI);

  it('is all there', () => {
    expect(cases.map(({ example }) => example)).toEqual([16, 17, 18]);
    for (const each of cases) for (const field of FIELDS) expect(each[field], field).toMatch(/^[0-9a-f]*$/);
  });

  it.each(cases.map((each) => [each.example, each] as const))('example %i: every step', (_example, each) => {
    const fields = computeFields(each);
    expect(encodeHex(fields.publicKey)).toBe(each.PK);
    expect(fields.counter).toBe(each.ctr);
    expect(encodeHex(fields.point.toBytes())).toBe(each.H);
    expect(fields.scalar).toBe(Point.Fn.create(decodeNumber(each.x)));
    expect(fields.k).toBe(Point.Fn.create(decodeNumber(each.k_string)));
    expect(encodeHex(Point.Fn.toBytes(fields.k))).toBe(each.k);
    expect(encodeHex(fields.u)).toBe(each.U);
    expect(encodeHex(fields.v)).toBe(each.V);
    expect(encodeHex(fields.gamma)).toBe(each.gamma);
    expect(encodeHex(fields.challenge)).toBe(each.pi.slice(64, 96));
  });

  it.each(cases.map((each) => [each.example, each] as const))('example %i: proof and output', (_example, each) => {
    expect(encodeHex(proveVrf(decode(each.SK), decode(each.alpha)))).toBe(each.pi);
    expect(encodeHex(computeVrfOutput(decode(each.pi)))).toBe(each.beta);
    expect(findVrfKeyFault(decode(each.PK))).toBeNull();
    const verdict = verifyVrf(decode(each.PK), decode(each.alpha), decode(each.pi));
    expect(verdict).toEqual({ kind: 'valid', output: decode(each.beta) });
  });
});

describe('RFC 9381 appendix B.4, ECVRF-EDWARDS25519-SHA512-ELL2: another suite', () => {
  const cases = valid.filter(({ suite_string: suite }) => suite === ELL2);

  it('is all there', () => expect(cases.map(({ example }) => example)).toEqual([19, 20, 21]));

  it.each(cases.map((each) => [each.example, each] as const))('example %i is refused', (_example, each) => {
    const verdict = verifyVrf(decode(each.PK), decode(each.alpha), decode(each.pi));
    expect(verdict).toEqual({ kind: 'invalid', reason: 'challenge-mismatch' });
  });
});

describe('altered proofs and keys', () => {
  it('are all there', () => {
    expect(negative.filter(({ suite_string: suite }) => suite === TAI)).toHaveLength(57);
    expect(negative.filter(({ suite_string: suite }) => suite === ELL2)).toHaveLength(57);
  });

  // Of the other suite's point of view: an ELL2 verifier refuses a proof of TAI, whose verifier takes it.
  const isOfOurs = ({ suite_string: suite, name }: NegativeCase): boolean =>
    suite === ELL2 && name === 'proof-of-the-other-suite';
  const cases = negative
    .filter((each) => !isOfOurs(each))
    .map((each) => [`${each.base_example} ${each.name}`, each] as const);

  it('of the other suite that are proofs of this one are valid', () => {
    const ours = negative.filter(isOfOurs);
    expect(ours).toHaveLength(3);
    for (const each of ours) {
      expect(verifyVrf(decode(each.PK), decode(each.alpha), decode(each.pi)).kind).toBe('valid');
    }
  });

  it.each(cases)('%s', (_name, each) => {
    const verdict = verifyVrf(decode(each.PK), decode(each.alpha), decode(each.pi));
    expect(verdict).toEqual({ kind: 'invalid', reason: expectFault(each) });
    if (each.suite_string === TAI && each.name.startsWith('public-key')) {
      expect(findVrfKeyFault(decode(each.PK))).toBe(expectFault(each));
    }
  });

  it('a point with a coordinate beyond p is no point', () => {
    const p = 2n ** 255n - 19n;
    for (let excess = 0n; excess < 19n; excess++) {
      const bytes = decode((p + excess).toString(16).padStart(64, '0')).reverse();
      expect(decodePoint(bytes)).toBeUndefined();
    }
  });
});
