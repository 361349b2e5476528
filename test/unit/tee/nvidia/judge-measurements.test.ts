import { describe, expect, it } from 'vitest';
import { encodeHex } from '../../../../src/lib/bytes.ts';
import { judgeMeasurements } from '../../../../src/tee/nvidia/rim/judge-measurements.ts';
import { parseReferenceManifest, type ReferenceManifest } from '../../../../src/tee/nvidia/rim/reference-manifest.ts';
import { readNvidiaFile, SWITCH_RIM } from '../../../support/nvidia-vectors.ts';

const { signature } = parseReferenceManifest(readNvidiaFile(SWITCH_RIM));

const digestOf = (byte: number) => new Uint8Array(48).fill(byte);

/** Golden values by index: each number stands for a digest of that byte. */
function buildManifest(golden: Readonly<Record<number, readonly number[]>>): ReferenceManifest {
  const entries = Object.entries(golden).map(([index, bytes]) => [Number(index), bytes.map(digestOf)] as const);
  return { edition: 'GPU', product: 'GH100', version: '1.2', golden: new Map(entries), signature };
}

function buildClaims(measured: Readonly<Record<number, number>>, isNvdec0Enabled: boolean | null = true) {
  const entries = Object.entries(measured).map(([index, byte]) => [index, encodeHex(digestOf(byte))]);
  const measurements: Readonly<Record<number, string>> = Object.fromEntries(entries);
  return { deviceType: 'gpu', driverVersion: '1.2', vbiosVersion: '3.4', isNvdec0Enabled, measurements } as const;
}

describe('measurements', () => {
  const driver = buildManifest({ 1: [0x11], 2: [0x20, 0x22] });
  const vbios = buildManifest({ 5: [0x55] });

  it('pass if every golden value of both manifests is measured, one of its alternatives being enough', () => {
    const check = judgeMeasurements(buildClaims({ 1: 0x11, 2: 0x22, 5: 0x55, 9: 0x99 }), { driver, vbios });
    expect(check).toMatchObject({ verdict: 'passed', detail: expect.stringContaining('3 golden values') });
  });

  it.each([
    ['differs', { 1: 0x12, 2: 0x22, 5: 0x55 }, 'driver measurement 1'],
    ['differs from every alternative', { 1: 0x11, 2: 0x23, 5: 0x55 }, 'driver measurement 2'],
    ['is not in the report', { 1: 0x11, 2: 0x22 }, 'VBIOS measurement 5 is not in the report'],
  ])('fail if one %s', (_, measured, reason) => {
    const check = judgeMeasurements(buildClaims(measured), { driver, vbios });
    expect(check).toMatchObject({ verdict: 'failed', detail: expect.stringContaining(reason) });
  });

  it('are not judged whole if a manifest is missing, and fail all the same if the other one differs', () => {
    const claims = buildClaims({ 1: 0x11, 2: 0x22, 5: 0x55 });
    expect(judgeMeasurements(claims, { driver, vbios: undefined }).verdict).toBe('unchecked');
    expect(judgeMeasurements(claims, { driver: undefined, vbios }).verdict).toBe('unchecked');
    expect(judgeMeasurements(claims, { driver: undefined, vbios: undefined }).verdict).toBe('unchecked');
    const changed = buildClaims({ 1: 0x12, 2: 0x22, 5: 0x55 });
    expect(judgeMeasurements(changed, { driver, vbios: undefined }).verdict).toBe('failed');
  });

  it('fail if both manifests claim an index', () => {
    const both = { driver, vbios: buildManifest({ 1: [0x11] }) };
    const check = judgeMeasurements(buildClaims({ 1: 0x11, 2: 0x22 }), both);
    expect(check).toMatchObject({ verdict: 'failed', detail: 'both RIMs claim the measurements 1' });
  });

  it('leave out NVDEC0 on a GPU that has it off, and only there', () => {
    const manifests = { driver: buildManifest({ 1: [0x11], 35: [0x35] }), vbios };
    const measured = { 1: 0x11, 5: 0x55, 35: 0 };
    expect(judgeMeasurements(buildClaims(measured, false), manifests)).toMatchObject({
      verdict: 'passed',
      detail: expect.stringContaining('2 golden values'),
    });
    expect(judgeMeasurements(buildClaims(measured, true), manifests).verdict).toBe('failed');
    expect(judgeMeasurements(buildClaims(measured, null), manifests).verdict).toBe('failed');
  });
});
