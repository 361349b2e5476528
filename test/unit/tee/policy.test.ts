import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { TeeError } from '../../../src/tee/errors.ts';
import type { EvidenceKind } from '../../../src/tee/interface.ts';
import { parseEvidencePolicy } from '../../../src/tee/policy.ts';
import { verifyEvidence } from '../../../src/tee/verify-evidence.ts';

const KINDS: readonly EvidenceKind[] = ['sev-snp', 'tdx', 'sgx', 'nvidia', 'simulated'];

function listIssues(value: unknown): readonly string[] {
  try {
    parseEvidencePolicy(value);
    return [];
  } catch (error) {
    if (!(error instanceof TeeError) || error.info.code !== 'TEE_POLICY_INVALID') throw error;
    return error.info.issues;
  }
}

describe('parseEvidencePolicy', () => {
  it('has a section for each kind', () => {
    for (const kind of KINDS) expect(Object.keys(parseEvidencePolicy({ [kind]: {} }))).toEqual([kind]);
  });

  it('names every problem and its place', () => {
    const policy = { 'sev-snp': { measurements: ['00'], vmpls: [4], allowDebug: true }, trustzone: {} };
    const issues = listIssues(policy);
    expect(issues).toContainEqual(expect.stringMatching(/^sev-snp\.measurements\.0: expected 48 bytes in hex/u));
    expect(issues).toContainEqual(expect.stringMatching(/^sev-snp\.vmpls\.0: /u));
    expect(issues).toContainEqual(expect.stringContaining('allowDebug'));
    expect(issues).toContainEqual(expect.stringContaining('trustzone'));
  });

  it.each([
    ['nothing', {}],
    ['no map', 'sev-snp'],
    ['null', null],
    ['a list', []],
    ['an empty allow-list', { 'sev-snp': { measurements: [] } }],
    ['a minimum without parts', { 'sev-snp': { minimumTcb: { milan: {} } } }],
    ['a minimum without products', { 'sev-snp': { minimumTcb: {} } }],
    ['a minimum of an unknown product', { 'sev-snp': { minimumTcb: { rome: { snp: 1 } } } }],
    ['a level that is no byte', { 'sev-snp': { minimumTcb: { milan: { snp: 256 } } } }],
    ['a measurement that is a number', { 'sev-snp': { measurements: [1] } }],
    ['very many problems', { 'sev-snp': { measurements: Array.from({ length: 200 }, () => 'x') } }],
  ])('refuses %s', (_, value) => {
    const issues = listIssues(value);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.length).toBeLessThanOrEqual(16);
  });
});

describe('verifyEvidence', () => {
  const crypto = new NodeEvidenceCrypto();
  const request = { evidence: new Uint8Array(100), atMs: 0, crypto };

  it.each(KINDS)('judges %s that cannot be read to be invalid, with its own kind', async (kind) => {
    expect(await verifyEvidence(kind, { ...request, policy: 'none' })).toMatchObject({
      kind,
      verdict: 'invalid',
      claims: null,
    });
  });

  it.each(KINDS)('refuses a policy that does not speak of %s', async (kind) => {
    const other = kind === 'tdx' ? 'sgx' : 'tdx';
    const policy = parseEvidencePolicy({ [other]: {} });
    await expect(async () => verifyEvidence(kind, { ...request, policy })).rejects.toThrow(`no section '${kind}'`);
  });
});
