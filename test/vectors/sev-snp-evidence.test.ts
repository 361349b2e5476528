import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findPinnedCertificate } from '../../src/tee/sev-snp/pinned-certificates.ts';
import { PRODUCTS } from '../../src/tee/sev-snp/products.ts';
import { verifySevSnp } from '../../src/tee/sev-snp/verify-sev-snp.ts';
import {
  buildSnpRequest,
  listSnpStems,
  readSnpFile,
  readSnpPem,
  SNP_AT_MS,
  VLEK_AT_MS,
} from '../support/sev-snp-vectors.ts';

/** Vector, verdict, and the checks that do not pass. */
const TABLE: Readonly<Record<string, readonly [verdict: string, ...notPassed: string[]]>> = {
  'genoa-v3-azure': ['valid'],
  'genoa-v3-routex': ['valid'],
  'milan-v2-trustee': ['valid'],
  'milan-v2-virtee': ['valid'],
  'milan-v3-azure': ['valid'],
  'milan-v3-dstack': ['valid'],
  'milan-v3-vlek-aws': ['valid'],
  'negative/milan-v2-gosev-debug': ['invalid', 'policy-debug'],
  'negative/milan-v2-tamper-measurement': ['invalid', 'report-signature'],
  'negative/milan-v2-tamper-reportdata': ['invalid', 'report-signature'],
  'negative/milan-v2-tamper-sig': ['invalid', 'report-signature'],
  'negative/milan-v2-trustee-wrong-vcek-legacy': ['invalid', 'chain', 'validity', 'report-signature', 'tcb', 'chip-id'],
  'turin-v5-routex': ['valid'],
};

describe('SEV-SNP evidence', () => {
  it('is judged as the table says, every vector of it', async () => {
    const rows = await Promise.all(
      listSnpStems().map(async (stem) => {
        const { verdict, checks } = await verifySevSnp(buildSnpRequest(stem));
        return [stem, [verdict, ...checks.filter((check) => check.verdict !== 'passed').map(({ name }) => name)]];
      }),
    );
    expect(Object.fromEntries(rows)).toEqual(TABLE);
  });

  it("is found in Azure's form", async () => {
    for (const stem of ['milan-v3-azure', 'genoa-v3-azure']) {
      const found = await verifySevSnp(buildSnpRequest(stem, { evidence: readSnpFile(`${stem}.hcl.bin`) }));
      expect(found).toMatchObject({
        verdict: 'valid',
        claims: { azure: { runtimeData: expect.stringContaining('HCLAkPub') } },
      });
    }
  });

  it('is refused when its certificate has expired', async () => {
    const expired = await verifySevSnp(buildSnpRequest('milan-v3-vlek-aws', { atMs: SNP_AT_MS }));
    expect(expired.checks.find(({ name }) => name === 'validity')?.verdict).toBe('failed');
    expect((await verifySevSnp(buildSnpRequest('milan-v3-vlek-aws', { atMs: VLEK_AT_MS }))).verdict).toBe('valid');
  });
});

describe("AMD's pinned certificates", () => {
  it.each(PRODUCTS)('of %s are those of the vectors', (product) => {
    for (const name of ['ark', 'ask', 'asvk'] as const) {
      const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
      expect(digest(findPinnedCertificate(product, name).der)).toBe(digest(readSnpPem(`${product}-${name}`)));
    }
  });
});
