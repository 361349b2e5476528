import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BundleVerification } from '../../../src/bundle/interface.ts';
import { assessEvidence, verifyBundle } from '../../../src/bundle/verify.ts';
import type { AssuranceReport } from '../../../src/domain/assurance.ts';
import { RUNTIME_DATA } from '../../../src/domain/confidential.ts';
import { decodeObject, encodeObject } from '../../../src/domain/object-type.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { AttemptEvidenceJudge } from '../../../src/tee/judge/attempt-evidence-judge.ts';
import { SIMULATED_ROOT } from '../../support/attestation-builder.ts';
import { type BuildOptions, buildBundle, packBundle } from '../../support/bundle-builder.ts';

const crypto = new NodeEvidenceCrypto();
const WITH_ROOT = new AttemptEvidenceJudge({ crypto }, { simulatedRoot: SIMULATED_ROOT });

async function verify(options: BuildOptions, evidenceJudge = WITH_ROOT): Promise<BundleVerification> {
  const { bundle, chains } = await buildBundle(options);
  return await verifyBundle(await packBundle(bundle, chains), { evidenceJudge });
}

function attestedOf({ assurances }: BundleVerification): AssuranceReport {
  const found = assurances.find(({ assurance }) => assurance === 'attested');
  if (found === undefined) throw new Error('nothing is attested');
  return found;
}

function verdictOf(verification: BundleVerification, check: string) {
  return attestedOf(verification).checks.find(({ name }) => name === `attempt 1: SIMULATED evidence ${check}`)?.verdict;
}

describe('simulated evidence, judged by the verifier of its kind', () => {
  it('is valid with the root that made it, and says on every line that it is SIMULATED', async () => {
    const verification = await verify({ replicas: 2, confidential: {} });
    expect(attestedOf(verification).checks.filter(({ verdict }) => verdict.kind !== 'valid')).toEqual([]);
    expect(verification.verdict).toBe('valid');
    const { statement, assumes, doesNotClaim, checks, isSimulated } = attestedOf(verification);
    const lines = [...statement.split('\n'), ...assumes, ...doesNotClaim];
    expect(lines.filter((line) => !line.startsWith('SIMULATED, no hardware: '))).toEqual([]);
    expect(checks.filter(({ name }) => name.startsWith('attempt') && !name.includes('SIMULATED'))).toEqual([]);
    expect(isSimulated).toBe(true);
    expect(verification.notProven.join(' ')).toContain('the evidence is SIMULATED');
    expect(verification.notProven.join(' ')).toContain('no hardware attests it');
  });

  it('is unchecked without a root', async () => {
    const verification = await verify(
      { confidential: {} },
      new AttemptEvidenceJudge({ crypto }, { simulatedRoot: null }),
    );
    expect(verification.verdict).toBe('unchecked');
    expect(verdictOf(verification, 'root')).toMatchObject({ kind: 'unchecked' });
    expect(attestedOf(verification).statement).toMatch(/^SIMULATED, no hardware: the file says, and not all/);
  });

  it('is invalid with another root', async () => {
    const other = new AttemptEvidenceJudge({ crypto }, { simulatedRoot: SIMULATED_ROOT.toReversed() });
    const verification = await verify({ confidential: {} }, other);
    expect(verdictOf(verification, 'report-signature')).toMatchObject({ kind: 'invalid', code: 'EVIDENCE_REFUSED' });
    expect(attestedOf(verification).statement).toMatch(/^SIMULATED, no hardware: .* does not pass its checks\.$/);
  });

  it('is invalid where the report was made for other runtime data', async () => {
    const verification = await verify({
      confidential: {
        lies: {
          evidence: (v) => {
            const runtimeData = decodeObject(RUNTIME_DATA, v.runtimeData);
            return { ...v, runtimeData: encodeObject(RUNTIME_DATA, { ...runtimeData, nonce: new Uint8Array(32) }) };
          },
        },
      },
    });
    expect(verdictOf(verification, 'binding')).toMatchObject({ kind: 'invalid', code: 'EVIDENCE_REFUSED' });
  });

  it.each([
    ['is of another kind', '{"tdx":{}}', 'policy'],
    ['is none', 'simulated', 'policy'],
    ['lists another measurement', JSON.stringify({ simulated: { measurements: ['00'.repeat(48)] } }), 'measurement'],
  ])('is invalid where the policy %s', async (_, policy, check) => {
    const verification = await verify({
      confidential: {},
      lies: { job: (v) => ({ ...v, confidential: { policy, commitments: v.confidential?.commitments ?? [] } }) },
    });
    expect(verdictOf(verification, check)).toMatchObject({ kind: 'invalid', code: 'EVIDENCE_REFUSED' });
  });

  it('is unchecked where the policy lists no measurements', async () => {
    const verification = await verify({
      confidential: {},
      lies: {
        job: (v) => ({
          ...v,
          confidential: { policy: '{"simulated":{}}', commitments: v.confidential?.commitments ?? [] },
        }),
      },
    });
    expect(verdictOf(verification, 'measurement')).toMatchObject({ kind: 'unchecked' });
  });
});

describe('evidence of whatever bytes', () => {
  it('gets a verdict that is not valid, and no error', async () => {
    const { bundle, chains } = await buildBundle({ confidential: {} });
    const [[blob, honest] = []] = [...chains];
    if (blob === undefined || honest === undefined) throw new TypeError('there is evidence');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc
            .tuple(fc.nat(honest.length - 1), fc.integer({ min: 1, max: 255 }))
            .map(([place, change]) => honest.map((byte, at) => (at === place ? byte ^ change : byte))),
          fc.nat(honest.length - 1).map((length) => honest.slice(0, length)),
        ),
        async (bytes) => {
          const contents = { blobs: new Map([[blob, bytes]]), snapshots: [] };
          const { verification } = await assessEvidence(bundle, { evidenceJudge: WITH_ROOT }, contents);
          expect(attestedOf(verification).verdict.kind).toBe('invalid');
        },
      ),
      { numRuns: 25 },
    );
  });
});
