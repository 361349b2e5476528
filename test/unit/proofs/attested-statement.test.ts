import { ed25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JobId, LeaseId, ObjectId } from '../../../src/domain/ids.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import {
  type AttestedStatement,
  encodeAttestedStatement,
  verifyAttestedStatement,
} from '../../../src/proofs/attested-statement.ts';

const idOf = (byte: number): string => computeObjectCid(Uint8Array.of(byte)).toString();
const STATEMENT: AttestedStatement = {
  job: JobId(idOf(1)),
  lease: LeaseId(idOf(2)),
  nonce: new Uint8Array(32).fill(3),
  commitments: [new Uint8Array(32).fill(4), new Uint8Array(32).fill(5)],
  outputRoot: ObjectId(idOf(6)),
};
const SEED = new Uint8Array(32).fill(7);
const signingKey = ed25519.getPublicKey(SEED);
const signature = ed25519.sign(encodeAttestedStatement(STATEMENT), SEED);

const CHANGES: readonly (readonly [string, AttestedStatement])[] = [
  ['job', { ...STATEMENT, job: JobId(idOf(9)) }],
  ['lease', { ...STATEMENT, lease: LeaseId(idOf(9)) }],
  ['nonce', { ...STATEMENT, nonce: new Uint8Array(32) }],
  ['order of the commitments', { ...STATEMENT, commitments: STATEMENT.commitments.toReversed() }],
  ['number of commitments', { ...STATEMENT, commitments: STATEMENT.commitments.slice(1) }],
  ['output root', { ...STATEMENT, outputRoot: ObjectId(idOf(9)) }],
];

describe('the statement of an attested key', () => {
  it('is verified under its key', () => {
    expect(verifyAttestedStatement(STATEMENT, { signingKey, signature })).toBe(true);
  });

  it.each(CHANGES)('is another one with another %s', (_, statement) => {
    expect(verifyAttestedStatement(statement, { signingKey, signature })).toBe(false);
  });

  it('is refused under any other bytes of key or signature, without an error', () => {
    const given = fc.record({
      signingKey: fc.oneof(
        fc.constant(signingKey),
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
      ),
      signature: fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 64, maxLength: 64 })),
    });
    fc.assert(
      fc.property(given, (parts) => {
        expect(verifyAttestedStatement(STATEMENT, parts)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  it('is refused under a key of small order, which verifies what nobody signed', () => {
    const identity = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0));
    const forged = Uint8Array.from({ length: 64 }, (_, index) => (index === 0 ? 1 : 0));
    expect(ed25519.verify(forged, encodeAttestedStatement(STATEMENT), identity, { zip215: true })).toBe(true);
    expect(verifyAttestedStatement(STATEMENT, { signingKey: identity, signature: forged })).toBe(false);
  });
});
