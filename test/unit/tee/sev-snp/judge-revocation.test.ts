import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { judgeRevocation } from '../../../../src/tee/sev-snp/judge-revocation.ts';
import { sevSnpPolicySchema } from '../../../../src/tee/sev-snp/policy.ts';
import { verifySevSnp } from '../../../../src/tee/sev-snp/verify-sev-snp.ts';
import { encodeRevocationList, issue, PKI_TIME_MS } from '../../../support/evidence-pki.ts';
import { acceptSnpVector, buildSnpRequest } from '../../../support/sev-snp-vectors.ts';

const root = issue({ name: 'ARK-Test', isAuthority: true, keyUsage: 6 });
const authority = issue({ name: 'SEV-Test', isAuthority: true, keyUsage: 6, serial: 0x10001 }, root);
const stranger = issue({ name: 'ARK-Test', isAuthority: true, keyUsage: 6 });
const issuers = { product: 'milan', issuer: authority.certificate, root: root.certificate } as const;

const V3 = 'milan-v3-dstack';
const SERIAL = Uint8Array.of(1, 0, 1);
const HOUR_MS = 3_600_000;

async function judge(...revocationLists: Uint8Array[]): Promise<string | undefined> {
  const request = { revocationLists, policy: 'none', atMs: PKI_TIME_MS, crypto: new NodeEvidenceCrypto() } as const;
  const checks = await judgeRevocation(request, issuers);
  expect(checks).toHaveLength(1);
  return checks[0]?.verdict;
}

describe("AMD's revocation list, with an infrastructure of our own", () => {
  it('passes an authority that is not on it', async () => {
    expect(await judge(encodeRevocationList(root))).toBe('passed');
    expect(await judge(encodeRevocationList(root, { revoked: [Uint8Array.of(1, 0, 2)] }))).toBe('passed');
  });

  it('fails an authority that is on it, or on any of several', async () => {
    const revoking = encodeRevocationList(root, { revoked: [SERIAL] });
    expect(await judge(revoking)).toBe('failed');
    expect(await judge(encodeRevocationList(root), revoking)).toBe('failed');
  });

  it('fails if it is not current, or does not say until when', async () => {
    expect(await judge(encodeRevocationList(root, { nextUpdateMs: PKI_TIME_MS - HOUR_MS }))).toBe('failed');
    expect(await judge(encodeRevocationList(root, { thisUpdateMs: PKI_TIME_MS + HOUR_MS }))).toBe('failed');
    expect(await judge(encodeRevocationList(root, { nextUpdateMs: null }))).toBe('failed');
  });

  it('fails if it is of somebody else, of the same name too', async () => {
    expect(await judge(encodeRevocationList(stranger))).toBe('failed');
    expect(await judge(encodeRevocationList(authority))).toBe('failed');
    const forged = { name: root.name, privateKey: authority.privateKey };
    expect(await judge(encodeRevocationList(forged))).toBe('failed');
  });

  it('fails if it is malformed, or one of too many', async () => {
    const list = encodeRevocationList(root);
    expect(await judge(list.subarray(0, -1))).toBe('failed');
    expect(await judge(...Array.from({ length: 9 }, () => list))).toBe('failed');
  });

  it('is unchecked where none is given, with where it is and what to do, whatever else the policy says', async () => {
    expect(await judge()).toBe('unchecked');
    const policy = { ...acceptSnpVector(V3), acceptUnchecked: [] };
    for (const changes of [{ policy }, { policy: 'none' }, { policy, certificates: [] }] as const) {
      const { verdict, checks, claims } = await verifySevSnp(buildSnpRequest(V3, changes));
      expect({ verdict, judged: claims?.revocationJudged }).toEqual({ verdict: 'unchecked', judged: false });
      const revocation = checks.find(({ name }) => name === 'revocation');
      expect(revocation?.verdict).toBe('unchecked');
      expect(revocation?.detail).toContain('https://kdsintf.amd.com/vcek/v1/Milan/crl');
      expect(revocation?.detail).toContain('acceptUnchecked: [revocation]');
    }
    const { policy: _, ...request } = buildSnpRequest(V3);
    const without = await verifySevSnp(request);
    expect(without.checks.find(({ name }) => name === 'revocation')?.verdict).toBe('unchecked');
  });

  it('is passed where none is given and the policy accepts that, by name; not where one is given that fails', async () => {
    const { verdict, checks, claims } = await verifySevSnp(buildSnpRequest(V3));
    expect({ verdict, judged: claims?.revocationJudged }).toEqual({ verdict: 'valid', judged: false });
    expect(checks.find(({ name }) => name === 'revocation')).toMatchObject({
      verdict: 'passed',
      detail: expect.stringMatching(/^not checked, which the policy accepts: no revocation list /u),
    });
    for (const list of [Uint8Array.of(0), encodeRevocationList(stranger)]) {
      const given = await verifySevSnp(buildSnpRequest(V3, { revocationLists: [list] }));
      expect(given.verdict).toBe('invalid');
    }
  });

  it('is all that a policy may accept as unchecked', () => {
    expect(sevSnpPolicySchema.parse({}).acceptUnchecked).toEqual([]);
    for (const name of ['measurement', 'policy-tcb', 'report-signature']) {
      expect(sevSnpPolicySchema.safeParse({ acceptUnchecked: [name] }).success).toBe(false);
    }
  });

  it('of another root than the pinned one does not count for a genuine report', async () => {
    const request = buildSnpRequest('milan-v2-virtee', { revocationLists: [encodeRevocationList(root)] });
    const { verdict, checks, claims } = await verifySevSnp(request);
    expect(checks.find(({ name }) => name === 'revocation')?.verdict).toBe('failed');
    expect({ verdict, judged: claims?.revocationJudged }).toEqual({ verdict: 'invalid', judged: true });
    const unsigned = await verifySevSnp({ ...request, certificates: [] });
    expect(unsigned.checks.find(({ name }) => name === 'revocation')?.verdict).toBe('unchecked');
  });
});
