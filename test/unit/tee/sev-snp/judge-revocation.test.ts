import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { judgeRevocation } from '../../../../src/tee/sev-snp/judge-revocation.ts';
import { sevSnpPolicySchema } from '../../../../src/tee/sev-snp/policy.ts';
import { verifySevSnp } from '../../../../src/tee/sev-snp/verify-sev-snp.ts';
import { encodeRevocationList, issue, PKI_TIME_MS } from '../../../support/evidence-pki.ts';
import { buildSnpRequest } from '../../../support/sev-snp-vectors.ts';

const root = issue({ name: 'ARK-Test', isAuthority: true, keyUsage: 6 });
const authority = issue({ name: 'SEV-Test', isAuthority: true, keyUsage: 6, serial: 0x10001 }, root);
const stranger = issue({ name: 'ARK-Test', isAuthority: true, keyUsage: 6 });
const issuers = { issuer: authority.certificate, root: root.certificate };

const SERIAL = Uint8Array.of(1, 0, 1);
const HOUR_MS = 3_600_000;

async function judge(...revocationLists: Uint8Array[]): Promise<string | undefined> {
  const request = { revocationLists, policy: 'none', atMs: PKI_TIME_MS, crypto: new NodeEvidenceCrypto() } as const;
  const checks = await judgeRevocation(request, issuers);
  expect(checks.length).toBeLessThan(2);
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

  it('is left out where none is given, and unchecked where the policy demands one', async () => {
    expect(await judge()).toBeUndefined();
    const policy = sevSnpPolicySchema.parse({ requireRevocationList: true });
    for (const changes of [{ policy }, { policy, certificates: [] }]) {
      const { checks } = await verifySevSnp(buildSnpRequest('milan-v2-virtee', changes));
      expect(checks.find(({ name }) => name === 'revocation')?.verdict).toBe('unchecked');
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
