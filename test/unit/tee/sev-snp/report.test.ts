import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TeeError } from '../../../../src/tee/errors.ts';
import { REPORT_BYTES } from '../../../../src/tee/sev-snp/constants.ts';
import { parseHclReport } from '../../../../src/tee/sev-snp/hcl-report.ts';
import { parseReport } from '../../../../src/tee/sev-snp/report.ts';
import { readSnpFile } from '../../../support/sev-snp-vectors.ts';

function patch(bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array {
  const patched = bytes.slice();
  patched.set(values, offset);
  return patched;
}

function expectTeeErrorOrNothing(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TeeError);
  }
}

describe('parseReport', () => {
  const report = readSnpFile('milan-v3-vlek-aws.report.bin');

  it('reads the fields of the ABI', () => {
    const parsed = parseReport(report);
    expect(parsed).toMatchObject({
      version: 3,
      vmpl: 1,
      signatureAlgorithm: 1,
      signingKey: 'vlek',
      hasAuthorKey: false,
      isChipKeyMasked: false,
      platformInfo: 0x27n,
      cpu: { family: 0x19, model: 1, stepping: 1 },
      dirtyReserved: [],
      policy: { bits: 0x30000n, smtAllowed: true, debugAllowed: false, migrationAllowed: false },
    });
    expect([...parsed.reportedTcb]).toEqual([4, 0, 0, 0, 0, 0, 0x18, 0xd9]);
    expect([...parsed.launchTcb]).toEqual([4, 0, 0, 0, 0, 0, 0x18, 0xdb]);
  });

  it.each([
    [1 << 16, 'smtAllowed'],
    [1 << 18, 'migrationAllowed'],
    [1 << 19, 'debugAllowed'],
    [1 << 20, 'singleSocketRequired'],
  ])('reads bit %i of the guest policy as %s', (bit, name) => {
    const { policy } = parseReport(patch(report, 0x08, 0, 0, bit >> 16, 0, 0, 0, 0, 0));
    const set = Object.entries(policy).filter(([, value]) => value === true);
    expect(set).toEqual([[name, true]]);
  });

  it.each([0, 1, 4, 6, 0xff])('refuses version %i', (version) => {
    expect(() => parseReport(patch(report, 0, version))).toThrow(TeeError);
  });

  it('refuses every other length', () => {
    for (let length = 0; length < REPORT_BYTES; length++) {
      expect(() => parseReport(report.subarray(0, length))).toThrow(TeeError);
    }
    expect(() => parseReport(new Uint8Array([...report, 0]))).toThrow(TeeError);
  });

  it.each([
    [2, [0x4c, 0x188, 0x18a, 0x18b, 0x19f, 0x1eb, 0x1ef, 0x1f8, 0x200, 0x207, 0x208, 0x29f, 0x330, 0x49f, 0x4b]],
    [3, [0x4f, 0x18b, 0x19f, 0x1eb, 0x1ef, 0x1f8, 0x207, 0x208, 0x29f, 0x330, 0x49f, 0x48]],
    [5, [0x4c, 0x18b, 0x19f, 0x1eb, 0x1ef, 0x208, 0x29f, 0x330, 0x49f, 0x49]],
  ])('finds reserved bytes of version %i that are not zero', (version, offsets) => {
    const stems = { 2: 'milan-v2-virtee', 3: 'milan-v3-azure', 5: 'turin-v5-routex' } as const;
    const clean = readSnpFile(`${stems[version as 2 | 3 | 5]}.report.bin`);
    expect(parseReport(clean).dirtyReserved).toEqual([]);
    for (const offset of offsets) expect(parseReport(patch(clean, offset, 0x80)).dirtyReserved).toHaveLength(1);
  });

  it('has mitigation vectors in version 5 where there was nothing before', () => {
    const turin = readSnpFile('turin-v5-routex.report.bin');
    expect(parseReport(patch(turin, 0x1f8, 1, 0, 0, 0, 0, 0, 0, 0, 1)).dirtyReserved).toEqual([]);
  });

  it('has no signature where r or s is longer than a number of P-384', () => {
    expect(parseReport(report).signature).toHaveLength(96);
    for (const offset of [0x2a0 + 48, 0x2a0 + 71, 0x2a0 + 120, 0x2a0 + 143]) {
      expect(parseReport(patch(report, offset, 1)).signature).toBeNull();
    }
  });

  it('gives a report or a typed error for any bytes', () => {
    const sized = fc.uint8Array({ minLength: REPORT_BYTES, maxLength: REPORT_BYTES });
    const versioned = fc
      .tuple(sized, fc.constantFrom(2, 3, 5))
      .map(([bytes, version]) => patch(bytes, 0, version, 0, 0, 0));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2048 }), versioned), (bytes) => {
        expectTeeErrorOrNothing(() => parseReport(bytes));
      }),
      { numRuns: 200 },
    );
  });
});

describe('parseHclReport', () => {
  const hcl = readSnpFile('milan-v3-azure.hcl.bin');
  const JSON_BYTES = 0x456;
  const end = 0x4d4 + JSON_BYTES;

  it('finds the report and what the guest wanted to have bound', () => {
    const parsed = parseHclReport(hcl);
    expect(parsed.report).toEqual(readSnpFile('milan-v3-azure.report.bin'));
    expect(parsed.runtimeData).toHaveLength(JSON_BYTES);
    expect(parsed.userData?.subarray(0, 4)).toEqual(new Uint8Array([0x98, 0x2f, 0x5c, 0x6e]));
  });

  it('may end with its runtime data', () => {
    expect(parseHclReport(hcl.subarray(0, end)).runtimeData).toHaveLength(JSON_BYTES);
  });

  it('is refused at every length before that', () => {
    for (let length = 0; length < end; length++)
      expect(() => parseHclReport(hcl.subarray(0, length))).toThrow(TeeError);
  });

  it.each([
    ['another magic', 0, 0x49],
    ['a TDX report', 0x4c8, 4],
    ['another hash', 0x4cc, 2],
    ['another total length', 0x4c0, 0x6b],
    ['another length of the data', 0x4d0, 0x57],
    ['a huge length', 0x4d3, 0xff],
    ['something behind it', end, 1],
    ['text that is not JSON', 0x4d4, 0x7d],
    ['text that is not UTF-8', 0x4d5, 0xff],
    ['user data that is not hex', end - 10, 0x67],
  ])('refuses %s', (_, offset, value) => {
    expect(() => parseHclReport(patch(hcl, offset, value))).toThrow(TeeError);
  });

  it('refuses more than it could ever be', () => {
    expect(() => parseHclReport(new Uint8Array([...hcl, ...new Uint8Array(64 * 1024)]))).toThrow(TeeError);
  });

  it('gives a report or a typed error for any bytes', () => {
    const damage = fc.array(fc.tuple(fc.nat(hcl.length - 1), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(damage, (changes) => {
        const damaged = hcl.slice();
        for (const [offset, value] of changes) damaged[offset] = value;
        expectTeeErrorOrNothing(() => parseHclReport(damaged));
      }),
      { numRuns: 200 },
    );
  });
});
