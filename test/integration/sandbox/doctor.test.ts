import { describe, expect, it } from 'vitest';
import { checkSandbox } from '../../../src/sandbox/doctor.ts';
import { findOffers } from '../../support/sandbox.ts';

describe('checkSandbox', () => {
  it('says what works here, as found by trying, and what to do about the rest', async () => {
    const checks = await checkSandbox();
    const offers = await findOffers();
    for (const check of checks) {
      expect(check.remedy === null, `${check.name} is ${check.status}`).toBe(check.status === 'ok');
      expect(check.detail).not.toBe('');
    }
    const statusOf = (name: string): string | undefined => checks.find((check) => check.name === name)?.status;
    expect(statusOf('node')).toBe('ok');
    expect(statusOf('isolation process')).toBe(offers.has('process') ? 'ok' : 'missing');
    expect(statusOf('isolation bubblewrap')).toBe(offers.has('bubblewrap') ? 'ok' : 'degraded');
  });
});
