import { describe, expect, it } from 'vitest';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { AttemptEvidenceJudge } from '../../../src/tee/judge/attempt-evidence-judge.ts';
import { buildBundle, packBundle } from '../../support/bundle-builder.ts';
import { readSnpFile, SNP_AT_MS, VLEK_AT_MS } from '../../support/sev-snp-vectors.ts';

const evidenceJudge = new AttemptEvidenceJudge({ crypto: new NodeEvidenceCrypto() }, { simulatedRoot: null });
const STEM = 'milan-v3-vlek-aws';

/** Genuine, of a machine that was asked for something else; its certificate lasted a year. */
async function judgeGenuineAt(atMs: number) {
  const policy = JSON.stringify({ 'sev-snp': {} });
  const { bundle, chains } = await buildBundle({
    confidential: {
      kind: 'sev-snp',
      lies: {
        evidence: (v) => ({
          ...v,
          report: readSnpFile(`${STEM}.report.bin`),
          certificates: [readSnpFile(`${STEM}.vlek.der`)],
        }),
        release: (v) => ({ ...v, evaluatedAtMs: UnixMs(atMs) }),
      },
    },
    lies: { job: (v) => ({ ...v, confidential: { policy, commitments: v.confidential?.commitments ?? [] } }) },
  });
  const { assurances } = await verifyBundle(await packBundle(bundle, chains), { evidenceJudge });
  const report = assurances.find(({ assurance }) => assurance === 'attested');
  return (name: string) => report?.checks.find((check) => check.name === `attempt 1: evidence ${name}`)?.verdict.kind;
}

describe('genuine evidence of SEV-SNP in a bundle', () => {
  it('is judged as of the time in the release, when its certificate was good', async () => {
    const verdictOf = await judgeGenuineAt(VLEK_AT_MS);
    expect(verdictOf('validity')).toBe('valid');
    expect(verdictOf('report-signature')).toBe('valid');
  });

  it('is not good at a time when it was not', async () => {
    const verdictOf = await judgeGenuineAt(SNP_AT_MS);
    expect(verdictOf('validity')).toBe('invalid');
    expect(verdictOf('report-signature')).toBe('valid');
  });

  it('is refused by its binding: it was made for something else', async () => {
    expect((await judgeGenuineAt(VLEK_AT_MS))('binding')).toBe('invalid');
  });
});
