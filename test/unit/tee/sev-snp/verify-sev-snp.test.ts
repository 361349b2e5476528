import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { WebEvidenceCrypto } from '../../../../src/tee/crypto/web-evidence-crypto.ts';
import type { CheckVerdict } from '../../../../src/tee/interface.ts';
import type { SevSnpRequest } from '../../../../src/tee/sev-snp/interface.ts';
import { type SevSnpPolicy, sevSnpPolicySchema } from '../../../../src/tee/sev-snp/policy.ts';
import { verifySevSnp } from '../../../../src/tee/sev-snp/verify-sev-snp.ts';
import { buildSnpRequest, readSnpFile, readSnpPem, SNP_WAIVER } from '../../../support/sev-snp-vectors.ts';

const V2 = 'milan-v2-virtee';
const V3 = 'milan-v3-dstack';
const TURIN = 'turin-v5-routex';
const VLEK = 'milan-v3-vlek-aws';
const AZURE = 'milan-v3-azure';

function patchReport(stem: string, offset: number, ...values: number[]): Uint8Array {
  const report = readSnpFile(`${stem}.report.bin`).slice();
  report.set(values, offset);
  return report;
}

async function findVerdicts(stem: string, changes: Partial<SevSnpRequest> = {}): Promise<Record<string, CheckVerdict>> {
  const { checks } = await verifySevSnp(buildSnpRequest(stem, changes));
  return Object.fromEntries(checks.map(({ name, verdict }) => [name, verdict]));
}

/** Takes no signature to be wrong. */
class GullibleCrypto extends NodeEvidenceCrypto {
  override async verify(): Promise<boolean> {
    return true;
  }
}

describe('verifySevSnp', () => {
  it.each([
    ['reserved', V2, 0x188, [1]],
    ['reserved', V2, 0x4c, [1]],
    ['guest-policy', V2, 0x0a, [0x01]],
    ['guest-policy', V2, 0x0b, [0x04]],
    ['guest-policy', V2, 0x0f, [0x80]],
    ['signature-algorithm', V2, 0x34, [2]],
    ['author-key', V2, 0x48, [1]],
    ['author-key', V2, 0x110, [1]],
    ['product', V3, 0x189, [0x11]],
    ['product', V3, 0x188, [0x1a]],
    ['product', V3, 0x188, [0x17]],
    ['signing-key', V2, 0x48, [0x04]],
    ['signing-key', V2, 0x48, [0x1c]],
    ['signing-key', V2, 0x48, [0x02]],
    ['signing-key', VLEK, 0x48, [0x00]],
    ['report-signature', V2, 0x50, [0]],
    ['report-signature', V2, 0x2a0, [0]],
    ['tcb', V2, 0x187, [116]],
    ['tcb', V2, 0x187, [114]],
    ['tcb', V2, 0x182, [1]],
    ['tcb', TURIN, 0x180, [1]],
    ['chip-id', V2, 0x1a0, [0]],
    ['chip-id', TURIN, 0x1a8, [1]],
    ['policy-debug', V2, 0x0a, [0x0b]],
    ['policy-migration', V2, 0x0a, [0x07]],
    ['policy-vmpl', V2, 0x30, [4]],
    ['policy-vmpl', V2, 0x30, [0xff, 0xff, 0xff, 0xff]],
  ] as const)('fails %s for %s with byte %i changed, whoever signed it', async (name, stem, offset, values) => {
    expect((await findVerdicts(stem))[name]).toBe('passed');
    const changed = await findVerdicts(stem, { evidence: patchReport(stem, offset, ...values) });
    expect(changed[name]).toBe('failed');
  });

  it('does not take the host for the guest though the policy names every level', async () => {
    const policy = sevSnpPolicySchema.parse({ vmpls: [0, 1, 2, 3] });
    const evidence = patchReport(V2, 0x30, 0xff, 0xff, 0xff, 0xff);
    expect((await findVerdicts(V2, { evidence, policy }))['policy-vmpl']).toBe('failed');
  });

  it('accepts a chip id that the platform masks', async () => {
    const evidence = patchReport(V2, 0x1a0, ...Array.from({ length: 64 }, () => 0));
    expect((await findVerdicts(V2, { evidence }))['chip-id']).toBe('passed');
  });

  it('says the same with WebCrypto', async () => {
    const crypto = new WebEvidenceCrypto({ subtle: globalThis.crypto.subtle });
    for (const stem of [V2, VLEK, TURIN, 'negative/milan-v2-tamper-sig']) {
      const web = await verifySevSnp(buildSnpRequest(stem, { crypto }));
      expect(web).toEqual(await verifySevSnp(buildSnpRequest(stem)));
    }
  });

  it('refuses every one of 60 bits flipped, wherever it is', async () => {
    const report = readSnpFile(`${V2}.report.bin`);
    for (const bit of fc.sample(fc.nat(report.length * 8 - 1), { numRuns: 60, seed: 1 })) {
      const evidence = report.with(bit >> 3, (report[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
      const { verdict } = await verifySevSnp(buildSnpRequest(V2, { evidence }));
      expect({ bit, verdict }).toEqual({ bit, verdict: 'invalid' });
    }
  });

  it('has a verdict without claims for bytes that are no report', async () => {
    for (const evidence of [new Uint8Array(), new Uint8Array(1184), readSnpFile(`${V2}.report.bin`).subarray(1)]) {
      const found = await verifySevSnp(buildSnpRequest(V2, { evidence }));
      expect(found).toMatchObject({
        verdict: 'invalid',
        claims: null,
        checks: [{ name: 'format', verdict: 'failed' }],
      });
    }
  });
});

describe('the certificate', () => {
  it('is unchecked with where to fetch it if none is given, and so is all that needs it', async () => {
    const found = await verifySevSnp(buildSnpRequest(TURIN, { certificates: [] }));
    expect(found.verdict).toBe('unchecked');
    const open = found.checks.filter(({ verdict }) => verdict !== 'passed').map(({ name }) => name);
    expect(open).toEqual([
      'product',
      'certificate',
      'chain',
      'validity',
      'signing-key',
      'report-signature',
      'tcb',
      'chip-id',
    ]);
    expect(found.checks.find(({ name }) => name === 'certificate')?.detail).toContain(
      'https://kdsintf.amd.com/vcek/v1/Turin/3b42092f69c656d3?fmcSPL=0&blSPL=1&teeSPL=0&snpSPL=2&ucodeSPL=71',
    );
  });

  it('is found among copies of the certificates above it', async () => {
    const certificates = [readSnpPem('milan-ark'), readSnpFile(`${V2}.vcek.der`), readSnpPem('milan-ask')];
    expect((await verifySevSnp(buildSnpRequest(V2, { certificates }))).verdict).toBe('valid');
  });

  it('is refused if it is another chip, another product, or one of several', async () => {
    const other = readSnpFile('milan-v2-trustee.vcek.der');
    const own = readSnpFile(`${V2}.vcek.der`);
    expect(await findVerdicts(V2, { certificates: [other] })).toMatchObject({
      chain: 'passed',
      'report-signature': 'failed',
      'chip-id': 'failed',
    });
    expect(await findVerdicts(V3, { certificates: [readSnpFile('genoa-v3-azure.vcek.der')] })).toMatchObject({
      product: 'failed',
      'report-signature': 'failed',
    });
    expect((await findVerdicts(V2, { certificates: [own, other] }))['certificate']).toBe('failed');
    expect((await findVerdicts(V2, { certificates: Array.from({ length: 17 }, () => own) }))['certificate']).toBe(
      'failed',
    );
  });

  it('is refused if it is malformed or not an endorsement of AMD', async () => {
    const own = readSnpFile(`${V2}.vcek.der`);
    expect((await findVerdicts(V2, { certificates: [own.subarray(0, 900)] }))['certificate']).toBe('failed');
    const found = await verifySevSnp(buildSnpRequest(V2, { certificates: [readSnpPem('milan-ask')] }));
    expect(found.verdict).toBe('unchecked');
  });

  it('is refused before and after its time', async () => {
    expect((await findVerdicts(V2, { atMs: Date.parse('2023-04-03T19:23:42Z') }))['validity']).toBe('failed');
    expect((await findVerdicts(V2, { atMs: Date.parse('2030-04-03T19:23:44Z') }))['validity']).toBe('failed');
    expect((await findVerdicts(V2, { atMs: Number.NaN }))['validity']).toBe('failed');
  });

  it('of a VLEK names the provider', async () => {
    const { claims } = await verifySevSnp(buildSnpRequest(VLEK));
    expect(claims?.cloudProvider).toBe('CN=cc-us-east-2.amazonaws.com');
  });

  it('is never believed for a level of TCB that it does not certify, whatever a signature says', async () => {
    const crypto = new GullibleCrypto();
    const evidence = patchReport(V2, 0x187, 200);
    expect((await verifySevSnp(buildSnpRequest(V2, { crypto }))).verdict).toBe('valid');
    expect((await verifySevSnp(buildSnpRequest(V2, { crypto, evidence }))).verdict).toBe('invalid');
  });
});

describe('the policy', () => {
  const measurement =
    '7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81841f';
  const judge = async (policy: object, stem = V2) => {
    const parsed: SevSnpPolicy = sevSnpPolicySchema.parse({
      ...SNP_WAIVER,
      measurements: [measurement],
      ...policy,
    });
    return verifySevSnp(buildSnpRequest(stem, { policy: parsed }));
  };
  const judgeOne = async (name: string, policy: object, stem = V2) =>
    (await judge(policy, stem)).checks.find((check) => check.name === name)?.verdict;

  it('that is not given leaves unchecked which code runs, and revocation', async () => {
    const { policy: _, ...request } = buildSnpRequest(V2);
    const found = await verifySevSnp(request);
    expect(found.verdict).toBe('unchecked');
    const open = found.checks.filter(({ verdict }) => verdict !== 'passed').map(({ name }) => name);
    expect(open).toEqual(['revocation', 'measurement']);
  });

  it('is met by a measurement that it lists, in capitals too', async () => {
    expect((await judge({})).verdict).toBe('valid');
    expect((await judge({ measurements: ['00'.repeat(48), measurement.toUpperCase()] })).verdict).toBe('valid');
    expect((await judge({ measurements: ['00'.repeat(48)] })).verdict).toBe('invalid');
  });

  it('that says nothing leaves revocation, measurement and minimum unchecked', async () => {
    const found = await verifySevSnp(buildSnpRequest(V2, { policy: sevSnpPolicySchema.parse({}) }));
    expect(found.checks.filter(({ verdict }) => verdict === 'unchecked').map(({ name }) => name)).toEqual([
      'revocation',
      'measurement',
      'policy-tcb',
    ]);
  });

  it('judges each part of the TCB, at launch too', async () => {
    const floor = (minimum: object) => ({ minimumTcb: { milan: minimum } });
    expect(await judgeOne('policy-tcb', floor({ bootLoader: 3, tee: 0, snp: 8, microcode: 115 }))).toBe('passed');
    for (const minimum of [{ bootLoader: 4 }, { tee: 1 }, { snp: 9 }, { microcode: 116 }, { fmc: 0 }]) {
      expect(await judgeOne('policy-tcb', floor(minimum))).toBe('failed');
    }
    expect(await judgeOne('policy-tcb', { minimumTcb: { genoa: { snp: 1 } } })).toBe('failed');
    const policy = sevSnpPolicySchema.parse(floor({ microcode: 115 }));
    for (const place of [0x187, 0x1f7]) {
      const verdicts = await findVerdicts(V2, { policy, evidence: patchReport(V2, place, 114) });
      expect(verdicts['policy-tcb']).toBe('failed');
    }
  });

  it('judges Turin by its own parts', async () => {
    expect(await judgeOne('policy-tcb', { minimumTcb: { turin: { fmc: 0, bootLoader: 1, snp: 2 } } }, TURIN)).toBe(
      'passed',
    );
    expect(await judgeOne('policy-tcb', { minimumTcb: { turin: { fmc: 1 } } }, TURIN)).toBe('failed');
    expect(await judgeOne('policy-tcb', { minimumTcb: { turin: { snp: 3 } } }, TURIN)).toBe('failed');
  });

  it.each([
    ['policy-smt', { allowSmt: false }, { allowSmt: true }, V2],
    ['policy-vmpl', { vmpls: [0] }, { vmpls: [1] }, VLEK],
    ['policy-host-data', { hostData: ['11'.repeat(32)] }, { hostData: ['00'.repeat(32)] }, V2],
    ['policy-id-key', { idKeyDigests: ['11'.repeat(48)] }, { idKeyDigests: ['00'.repeat(48)] }, V2],
    ['policy-guest-svn', { minimumGuestSvn: 5 }, { minimumGuestSvn: 4 }, 'milan-v2-trustee'],
    [
      'policy-cloud-provider',
      { cloudProviders: ['other'] },
      { cloudProviders: ['CN=cc-us-east-2.amazonaws.com'] },
      VLEK,
    ],
    ['policy-alias-check', { requireAliasCheck: true }, { requireAliasCheck: true }, [V2, V3]],
  ] as const)('%s', async (name, refusing, accepting, stems) => {
    const [refused, accepted] = typeof stems === 'string' ? [stems, stems] : stems;
    expect(await judgeOne(name, refusing, refused)).toBe('failed');
    expect(await judgeOne(name, accepting, accepted)).toBe('passed');
  });

  it('may allow a migration agent, and no debugger', async () => {
    const policy = sevSnpPolicySchema.parse({ allowMigration: true });
    const evidence = patchReport(V2, 0x0a, 0x0f);
    expect(await findVerdicts(V2, { policy, evidence })).toMatchObject({
      'policy-migration': 'passed',
      'policy-debug': 'failed',
    });
    expect(sevSnpPolicySchema.safeParse({ allowDebug: true }).success).toBe(false);
  });

  it('refuses the key of a chip where it names providers', async () => {
    expect(await judgeOne('policy-cloud-provider', { cloudProviders: ['x'] })).toBe('failed');
  });
});

describe('report data', () => {
  it('is compared with what is expected, padded with zeros', async () => {
    const expected = readSnpFile(`${V2}.report.bin`).slice(0x50, 0x90);
    expect((await findVerdicts(V2, { reportData: expected }))['report-data']).toBe('passed');
    expect((await findVerdicts(V2, { reportData: expected.subarray(0, 63) }))['report-data']).toBe('failed');
    expect((await findVerdicts(V2, { reportData: new Uint8Array(64) }))['report-data']).toBe('failed');
    expect((await findVerdicts(V2, { reportData: new Uint8Array(65) }))['report-data']).toBe('failed');
    const short = readSnpFile('milan-v2-trustee.report.bin').slice(0x50, 0x70);
    expect((await findVerdicts('milan-v2-trustee', { reportData: short }))['report-data']).toBe('passed');
  });

  it("of Azure's form is the user data, bound by a hash", async () => {
    const evidence = readSnpFile(`${AZURE}.hcl.bin`);
    const { claims } = await verifySevSnp(buildSnpRequest(AZURE, { evidence }));
    const userData = new Uint8Array(Buffer.from(claims?.azure?.userData ?? '', 'hex'));
    expect(userData).toHaveLength(64);
    expect(await findVerdicts(AZURE, { evidence, reportData: userData })).toMatchObject({
      'runtime-data': 'passed',
      'report-data': 'passed',
    });
    expect((await findVerdicts(AZURE, { evidence, reportData: new Uint8Array(64) }))['report-data']).toBe('failed');
  });

  it("of Azure's form fails if the runtime data or what follows the hash is changed", async () => {
    const hcl = readSnpFile(`${AZURE}.hcl.bin`);
    const text = new TextDecoder().decode(hcl);
    const edited = hcl.with(text.indexOf('"secure-boot":true') + 1, 0x54);
    expect((await findVerdicts(AZURE, { evidence: edited }))['runtime-data']).toBe('failed');
    const tail = hcl.with(0x20 + 0x50 + 63, 1);
    expect((await findVerdicts(AZURE, { evidence: tail }))['runtime-data']).toBe('failed');
    const hash = createHash('sha256')
      .update(hcl.subarray(0x4d4, 0x4d4 + 0x456))
      .digest();
    expect(new Uint8Array(hash)).toEqual(hcl.slice(0x70, 0x90));
  });
});
