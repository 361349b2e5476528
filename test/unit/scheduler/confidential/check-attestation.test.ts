import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { BlobId, JobId, LeaseId, ObjectId } from '../../../../src/domain/ids.ts';
import type { Job } from '../../../../src/domain/job.ts';
import type { Receipt, ReceiptAttestation } from '../../../../src/domain/receipt.ts';
import type { Signed } from '../../../../src/domain/signed.ts';
import { computeObjectCid, computeRawCid } from '../../../../src/lib/cid.ts';
import { encodeAttestedStatement } from '../../../../src/proofs/attested-statement.ts';
import {
  type AttestedExpectation,
  checkAttestation,
} from '../../../../src/scheduler/requester/confidential/check-attestation.ts';

const cid = (byte: number) => computeObjectCid(Uint8Array.of(byte)).toString();
const blobOf = (byte: number) => BlobId(computeRawCid(Uint8Array.of(byte)).toString());
const seed = new Uint8Array(32).fill(9);
const nonce = new Uint8Array(32).fill(8);
const commitments = [new Uint8Array(32).fill(7)];
const statement = { job: JobId(cid(1)), lease: LeaseId(cid(2)), nonce, commitments, outputRoot: ObjectId(cid(3)) };
const sign = (change: Partial<typeof statement> = {}, key = seed) =>
  ed25519.sign(encodeAttestedStatement({ ...statement, ...change }), key);

const attested: AttestedExpectation = {
  evidence: {
    kind: 'simulated',
    measurement: 'ab',
    gpus: false,
    blob: blobOf(4),
    sizeBytes: 100,
    signingKey: ed25519.getPublicKey(seed),
    nonce,
  },
  release: ObjectId(cid(5)),
};
const attestation: ReceiptAttestation = {
  evidence: blobOf(4),
  evidenceSizeBytes: 100,
  release: ObjectId(cid(5)),
  signature: sign(),
};
// Only these are looked at.
const confidential = { confidential: { policy: '{}', commitments } } as unknown as Job;
const open = {} as unknown as Job;
type Kind = Receipt['result']['outcome']['kind'];

function receiptWith(given: Partial<ReceiptAttestation> | null, kind: Kind = 'completed'): Signed<Receipt> {
  const { job, lease, outputRoot } = statement;
  const own = given === null ? {} : { attestation: { ...attestation, ...given } };
  return { value: { job, lease, outputRoot, result: { outcome: { kind } }, ...own } } as unknown as Signed<Receipt>;
}

describe('the attestation of a result', () => {
  it('is the signature of the key that was attested, over this result', () => {
    expect(checkAttestation(receiptWith({}), { job: confidential, attested }).kind).toBe('valid');
    expect(checkAttestation(receiptWith({}, 'program-failed'), { job: confidential, attested }).kind).toBe('valid');
  });

  it.each<readonly [string, Partial<ReceiptAttestation>]>([
    ['another result', { signature: sign({ outputRoot: ObjectId(cid(30)) }) }],
    ['another job', { signature: sign({ job: JobId(cid(10)) }) }],
    ['another lease', { signature: sign({ lease: LeaseId(cid(20)) }) }],
    ['another nonce', { signature: sign({ nonce: new Uint8Array(32) }) }],
    ['other inputs', { signature: sign({ commitments: [new Uint8Array(32)] }) }],
    ['another key', { signature: sign({}, new Uint8Array(32).fill(1)) }],
    ['nobody', { signature: new Uint8Array(64) }],
    ['other evidence', { evidence: blobOf(40) }],
    ['evidence of another size', { evidenceSizeBytes: 101 }],
    ['another release', { release: ObjectId(cid(50)) }],
  ])('is refused if it is of %s', (_what, change) => {
    const checked = checkAttestation(receiptWith(change), { job: confidential, attested });
    expect(checked).toMatchObject({ kind: 'invalid', code: 'BAD_ATTESTATION' });
  });

  it('is needed of every result of a confidential job, and only where something was released', () => {
    const bad = { kind: 'invalid', code: 'BAD_ATTESTATION' };
    expect(checkAttestation(receiptWith(null), { job: confidential, attested })).toMatchObject(bad);
    expect(checkAttestation(receiptWith({}), { job: confidential, attested: null })).toMatchObject(bad);
    expect(checkAttestation(receiptWith({}, 'attempt-failed'), { job: confidential, attested })).toMatchObject(bad);
    expect(checkAttestation(receiptWith({}), { job: open, attested: null })).toMatchObject(bad);
    expect(checkAttestation(receiptWith(null, 'attempt-failed'), { job: confidential, attested }).kind).toBe('valid');
    expect(checkAttestation(receiptWith(null), { job: open, attested: null }).kind).toBe('valid');
  });
});
