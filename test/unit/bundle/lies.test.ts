import { describe, expect, it } from 'vitest';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import { buildBundle, packBundle } from '../../support/bundle-builder.ts';
import { JOB_LIES, LEASE_LIES } from './job-and-lease-lies.ts';
import { COMMITMENT_LIES, RECEIPT_LIES } from './receipt-and-commitment-lies.ts';

describe.each([
  ['job', JOB_LIES],
  ['lease and acceptance', LEASE_LIES],
  ['receipt and progress', RECEIPT_LIES],
  ['commitments and the set', COMMITMENT_LIES],
])('a lie about the %s, signed with a good key', (_, cases) => {
  it.each(cases)('$what: $check is invalid', async ({ lies, check, code, build }) => {
    const { bundle } = await buildBundle({ replicas: 3, withProgress: true, content: 'everything', ...build, lies });
    const verification = await verifyBundle(await packBundle(bundle));
    expect(verification.verdict).toBe('invalid');
    const checks = verification.assurances.flatMap((assurance) => assurance.checks);
    expect(checks.find(({ name }) => name === check)?.verdict).toMatchObject({ kind: 'invalid', code });
  });
});
