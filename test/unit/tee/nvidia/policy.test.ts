import { describe, expect, it } from 'vitest';
import { nvidiaPolicySchema } from '../../../../src/tee/nvidia/policy.ts';
import { verifyGpuEvidence } from '../../../../src/tee/nvidia/verify-gpu-evidence.ts';
import {
  buildNvidiaPolicy,
  buildNvidiaRequest,
  buildSwitchRequest,
  GPU_POLICY,
  listNotPassed,
  SWITCH_POLICY,
} from '../../../support/nvidia-vectors.ts';

/** The report says driver 590.12, VBIOS 96.00.A5.00.01, GH100, ppcie. */
async function judge(rules: Parameters<typeof buildNvidiaPolicy>[0]): Promise<readonly string[]> {
  const policy = buildNvidiaPolicy({ ...GPU_POLICY, ...rules });
  return listNotPassed(await verifyGpuEvidence(buildNvidiaRequest('hopper-evidence-0', { policy })));
}

describe('a policy of GPUs', () => {
  it.each([
    [{ chips: ['GH100'] }],
    [{ modes: ['ppcie'] as const satisfies string[] }],
    [{ driverVersions: ['550.144.03', '590.12'] }],
    [{ minDriverVersion: '590.12' }],
    [{ minDriverVersion: '590.9' }],
    [{ minDriverVersion: '580.95.05' }],
    [{ vbiosVersions: ['96.00.A5.00.01'] }],
    [{ minVbiosVersion: '96.00.9F.00.01' }],
  ])('accepts %j', async (rules) => {
    expect(await judge(rules)).toEqual([]);
  });

  it.each([
    [{ deviceTypes: ['switch'] as const satisfies string[] }, 'device-type'],
    [{ chips: ['GB100'] }, 'policy-chip'],
    [{ modes: ['spt'] as const satisfies string[] }, 'policy-mode'],
    [{ driverVersions: ['590.48'] }, 'policy-driver'],
    [{ minDriverVersion: '590.12.01' }, 'policy-driver'],
    [{ minDriverVersion: '590.13' }, 'policy-driver'],
    [{ minDriverVersion: '1000.1' }, 'policy-driver'],
    [{ vbiosVersions: ['96.00.A5.00.02'] }, 'policy-vbios'],
    [{ minVbiosVersion: '96.00.B0.00.00' }, 'policy-vbios'],
    [{ minVbiosVersion: '97.00.00.00.00' }, 'policy-vbios'],
  ])('refuses for %j', async (rules, name) => {
    expect(await judge(rules)).toEqual([name]);
  });

  it('that lists versions and a minimum needs both', async () => {
    expect(await judge({ driverVersions: ['590.12'], minDriverVersion: '600.1' })).toEqual(['policy-driver']);
  });

  it('on drivers refuses a switch, which has none', async () => {
    for (const rules of [{ driverVersions: ['590.12'] }, { minDriverVersion: '1.0' }]) {
      const policy = buildNvidiaPolicy({ ...SWITCH_POLICY, ...rules });
      expect(listNotPassed(await verifyGpuEvidence(buildSwitchRequest({ policy })))).toEqual(['policy-driver']);
    }
  });

  it('accepts by name what nothing checked', async () => {
    expect(await judge({ acceptUnchecked: [] })).toEqual(['measurements', 'revocation']);
    expect(await judge({ acceptUnchecked: ['measurements'] })).toEqual(['revocation']);
  });

  it('never accepts by name what failed', async () => {
    const policy = buildNvidiaPolicy({ acceptUnchecked: ['revocation', 'firmware-id', 'measurements'] });
    const found = await verifyGpuEvidence(buildNvidiaRequest('negative/hopper-bad-signature', { policy }));
    expect(listNotPassed(found)).toEqual(['report-signature', 'firmware-id']);
  });

  it('that is not given leaves the verdict open; one that is left out by word does not add a check', async () => {
    const { policy: _, ...withoutPolicy } = buildNvidiaRequest('hopper-evidence-0');
    const open = await verifyGpuEvidence(withoutPolicy);
    expect(open.verdict).toBe('unchecked');
    expect(listNotPassed(open)).toEqual(['measurements', 'revocation', 'policy']);
    const waived = await verifyGpuEvidence({ ...withoutPolicy, policy: 'none' });
    expect(listNotPassed(waived)).toEqual(['measurements', 'revocation']);
  });

  it('is refused when it says what nobody understands', () => {
    for (const policy of [
      { driver: ['590.12'] },
      { driverVersions: [] },
      { driverVersions: ['r590'] },
      { minVbiosVersion: '96.00.a5.00.01' },
      { acceptUnchecked: ['report-signature'] },
      { deviceTypes: [] },
    ]) {
      expect(nvidiaPolicySchema.safeParse(policy).success).toBe(false);
    }
  });
});
