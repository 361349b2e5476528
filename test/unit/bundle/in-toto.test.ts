import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computePae, type DsseEnvelope, encodeDsse, parseDsse } from '../../../src/bundle/dsse.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import { encodeStatement, IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPE, parseStatement } from '../../../src/bundle/in-toto.ts';
import { assessEvidence } from '../../../src/bundle/verify.ts';
import { verifyInToto } from '../../../src/bundle/verify-in-toto.ts';
import { encodeHex, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { AgreeableJudge, MEASUREMENT } from '../../support/attestation-builder.ts';
import { type BuildOptions, buildBundle, party, START_MS } from '../../support/bundle-builder.ts';
import { contentsOf } from '../../support/checkpoint-builder.ts';

const signer = party(0);

async function createPayload(options: BuildOptions = {}): Promise<Uint8Array> {
  const { job, bundle } = await buildBundle({ replicas: 3, ...options });
  const { accepted, ...found } = await assessEvidence(bundle);
  if (accepted === undefined) throw new TypeError('the bundle has a result');
  return encodeStatement({ job, accepted, ...found, statedAtMs: START_MS });
}

async function createFile(payload: Uint8Array, change: Partial<DsseEnvelope> = {}): Promise<Uint8Array> {
  const signature = await signer.sign(computePae(IN_TOTO_PAYLOAD_TYPE, payload));
  const signatures = [{ keyId: signer.peer, signature }];
  return encodeUtf8(encodeDsse({ payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures, ...change }));
}

describe('an in-toto export', () => {
  it('names the output files by SHA-256, the receipts and what was found', async () => {
    const verification = await verifyInToto(await createFile(await createPayload()));
    expect(verification.verdict).toBe('valid');
    expect(verification.signer).toBe(signer.peer);
    expect(verification.subjects).toContainEqual({
      name: '/model.bin',
      digest: { sha256: Buffer.from(sha256(encodeUtf8('weights'))).toString('hex') },
    });
    expect(verification.claims?.assurances.map(({ assurance }) => assurance)).toEqual(['signed', 'replicated']);
    expect(verification.notProven.join(' ')).toContain('not the evidence');
    expect(verification.notProven.join(' ')).toContain('--signer');
  });

  it('of a confidential job names commitments, evidence and code, and marks what is SIMULATED', async () => {
    const { job, bundle, chains } = await buildBundle({ confidential: {} });
    const evidenceJudge = new AgreeableJudge();
    const { accepted, ...found } = await assessEvidence(bundle, { evidenceJudge }, contentsOf(chains));
    if (accepted === undefined) throw new TypeError('the bundle has a result');
    const payload = encodeStatement({ job, accepted, ...found, statedAtMs: START_MS });
    const { predicate } = parseStatement(payload);
    expect(predicate?.['job']).toMatchObject({
      confidential: { policy: job.value.confidential?.policy, inputCommitments: ['50'.repeat(32)] },
    });
    const [receipt] = found.receipts;
    expect(predicate?.['attested']).toEqual([
      {
        receipt: receipt?.id,
        tee: 'simulated',
        warning: 'SIMULATED, no hardware',
        hasGpus: false,
        measurements: [{ name: 'measurement', value: encodeHex(MEASUREMENT) }],
        evaluatedAt: '2023-11-14T22:13:21.600Z',
        evidence: { sha256: encodeHex(sha256([...chains.values()][0] ?? new Uint8Array())) },
        release: receipt?.value.attestation?.release,
        verdict: { kind: 'valid' },
      },
    ]);
    const { claims, verdict } = await verifyInToto(await createFile(payload));
    expect(verdict).toBe('valid');
    expect(claims?.assurances.map(({ isSimulated }) => isSimulated)).toEqual([undefined, true]);
  });

  it('is about the result where there are no output files', async () => {
    const payload = await createPayload({
      lies: { result: (result) => ({ ...result, outputs: [] }), bundle: (v) => ({ ...v, blobs: [] }) },
    });
    const { subjects } = await verifyInToto(await createFile(payload));
    expect(subjects.map(({ name }) => name)).toEqual(['result']);
  });

  it('is valid under the key that was asked for, invalid under another', async () => {
    const file = await createFile(await createPayload());
    expect((await verifyInToto(file, { signer: signer.peer })).verdict).toBe('valid');
    const other = await verifyInToto(file, { signer: party(1).peer });
    expect(other).toMatchObject({ verdict: 'invalid', signer: null, claims: null });
  });

  it.each<[string, (payload: Uint8Array) => Partial<DsseEnvelope>]>([
    [
      'another payload',
      (payload) => ({ payload: encodeUtf8(Buffer.from(payload).toString().replace('digits', 'digitz')) }),
    ],
    ['another payload type', () => ({ payloadType: 'application/json' })],
    ['no signature', () => ({ signatures: [] })],
    ['a short signature', () => ({ signatures: [{ keyId: signer.peer, signature: new Uint8Array(63) }] })],
    ['a key that is none', () => ({ signatures: [{ keyId: 'nobody', signature: new Uint8Array(64) }] })],
    ['no key', () => ({ signatures: [{ keyId: undefined, signature: new Uint8Array(64) }] })],
  ])('is invalid with %s', async (_, change) => {
    const payload = await createPayload();
    const verification = await verifyInToto(await createFile(payload, change(payload)));
    expect(verification).toMatchObject({ verdict: 'invalid', signer: null, claims: null });
  });

  it('is invalid with another payload type, though it is signed as such', async () => {
    const payload = await createPayload();
    const signature = await signer.sign(computePae('text/plain', payload));
    const file = await createFile(payload, {
      payloadType: 'text/plain',
      signatures: [{ keyId: signer.peer, signature }],
    });
    const { verdict, checks } = await verifyInToto(file);
    expect(verdict).toBe('invalid');
    expect(checks.find(({ name }) => name === 'payload type')?.verdict.kind).toBe('invalid');
  });

  it('is invalid where its signer says that the evidence is', async () => {
    const payload = await createPayload({
      lies: {
        acceptance: (value, replica) =>
          replica === 2 ? { ...value, acceptedAtMs: (value.acceptedAtMs + 9e9) as never } : value,
      },
    });
    expect((await verifyInToto(await createFile(payload))).verdict).toBe('invalid');
  });

  it('is unchecked with a predicate of another kind', async () => {
    const payload = encodeUtf8(
      Buffer.from(await createPayload())
        .toString()
        .replace(PREDICATE_TYPE, 'urn:other'),
    );
    const verification = await verifyInToto(await createFile(payload));
    expect(verification).toMatchObject({ verdict: 'unchecked', claims: null, signer: signer.peer });
  });
});

describe('a DSSE envelope', () => {
  const envelopes = fc.record({
    payloadType: fc.string({ maxLength: 100 }),
    payload: fc.uint8Array({ maxLength: 200 }),
    signatures: fc.array(
      fc.record({ keyId: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }), signature: fc.uint8Array() }),
      { maxLength: 3 },
    ),
  });

  it('reads what it writes', () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        expect(parseDsse(encodeUtf8(encodeDsse(envelope)))).toEqual(envelope);
      }),
    );
  });

  it('refuses garbage with a coded error', () => {
    const texts = fc.oneof(fc.string(), fc.json());
    fc.assert(
      fc.property(texts, (text) => {
        expect(() => parseDsse(encodeUtf8(text))).toThrow(BundleError);
      }),
    );
  });

  it('refuses a file that is too large', () => {
    expect(() => parseDsse(new Uint8Array(4 * 1024 * 1024 + 1))).toThrow(/at most/);
  });
});
