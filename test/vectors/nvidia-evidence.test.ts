import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import { parseCollectedEvidence } from '../../src/tee/nvidia/collected-evidence.ts';
import { parseReferenceManifest } from '../../src/tee/nvidia/rim/reference-manifest.ts';
import { verifyManifest } from '../../src/tee/nvidia/rim/verify-manifest.ts';
import { findRoot } from '../../src/tee/nvidia/roots.ts';
import { verifyGpuEvidence } from '../../src/tee/nvidia/verify-gpu-evidence.ts';
import { splitPem } from '../../src/tee/x509/pem.ts';
import {
  buildNvidiaRequest,
  buildSwitchRequest,
  listNotPassed,
  listNvidiaRims,
  listNvidiaStems,
  readNvidiaFile,
  readNvidiaText,
} from '../support/nvidia-vectors.ts';

/** Vector, verdict, and the checks that do not pass; the policy accepts that there are no manifests. */
const REPORTS: Readonly<Record<string, readonly [verdict: string, ...notPassed: string[]]>> = {
  'blackwell-sample': ['valid'],
  'hopper-570-sample': ['valid'],
  'hopper-evidence-0': ['valid'],
  'hopper-sample': ['unchecked', 'firmware-id'],
  'hopper-trustee': ['valid'],
  'hopper-trustee-coco1': ['valid'],
  'ls10-evidence-0': ['invalid', 'firmware-id', 'device-type'],
  'negative/hopper-bad-signature': ['invalid', 'report-signature', 'firmware-id'],
};

/** What does not pass of each manifest's own checks, in the middle of 2025 or, for the switch, of 2026. */
const RIMS: Readonly<Record<string, readonly string[]>> = {
  'rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml': ['driver-rim-signature'],
  'rims/NV_GPU_DRIVER_GH100_550.144.03.xml': [],
  'rims/NV_GPU_DRIVER_GH100_570.124.03_expired.xml': ['driver-rim-signature', 'driver-rim-validity'],
  'rims/NV_GPU_VBIOS_1010_0200_882_96005E0001_measurement_mismatch.xml': [],
  'rims/NV_SWITCH_BIOS_5612_0002_890_9610550001.xml': [],
  'rims/NV_SWITCH_BIOS_5612_0002_890_9610550001_invalid_signature.xml': ['driver-rim-signature', 'driver-rim-validity'],
  'rims/NV_SWITCH_BIOS_5612_0002_890_9610550001_measurement_mismatch.xml': [
    'driver-rim-signature',
    'driver-rim-validity',
  ],
  'rims/incorrect_cert_chain_driver_rim.xml': ['driver-rim-chain', 'driver-rim-validity'],
  'rims/incorrect_signature_driver_rim.xml': ['driver-rim-signature'],
};

function computeFingerprint(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function judgeRim(file: string): Promise<readonly string[]> {
  const checks = await verifyManifest({
    role: 'driver',
    manifest: parseReferenceManifest(readNvidiaFile(file)),
    root: findRoot('rim'),
    atMs: Date.parse(file.includes('SWITCH') ? '2026-07-01T00:00:00Z' : '2025-07-01T00:00:00Z'),
    crypto: new NodeEvidenceCrypto(),
  });
  return listNotPassed({ checks });
}

describe('GPU evidence of NVIDIA', () => {
  it('is judged as the table says, every vector of it', async () => {
    const rows = await Promise.all(
      listNvidiaStems().map(async (stem) => {
        const found = await verifyGpuEvidence(buildNvidiaRequest(stem));
        return [stem, [found.verdict, ...listNotPassed(found)]];
      }),
    );
    expect(Object.fromEntries(rows)).toEqual(REPORTS);
  });

  it('has the versions that NVIDIA states for it', async () => {
    const { claims } = await verifyGpuEvidence(buildNvidiaRequest('hopper-evidence-0'));
    expect(claims).toMatchObject({
      deviceType: 'gpu',
      chip: 'GH100',
      model: 'GH100 A01 GSP BROM',
      driverVersion: '590.12',
      vbiosVersion: '96.00.A5.00.01',
      board: { project: 'G520', projectSku: '0200', chipSku: '885' },
      mode: 'ppcie',
      isNvdec0Enabled: false,
      nonce: 'e97b23a1718095a0e9e35edca810768c70a6a5a389b705e753b197912bc11576',
    });
    const blackwell = await verifyGpuEvidence(buildNvidiaRequest('blackwell-sample'));
    expect(blackwell.claims).toMatchObject({ chip: 'GB100', driverVersion: '575.32', vbiosVersion: '97.00.88.00.0F' });
  });

  it('of a switch is valid against its genuine manifest', async () => {
    const found = await verifyGpuEvidence(buildSwitchRequest());
    expect(listNotPassed(found)).toEqual([]);
    expect(found).toMatchObject({ verdict: 'valid', claims: { deviceType: 'switch', vbiosVersion: '96.10.55.00.01' } });
    expect(found.checks.find(({ name }) => name === 'measurements')?.detail).toContain('31 golden values agree');
  });

  it('is read from the files that NVIDIA writes', () => {
    for (const [file, stem] of [
      ['hopper-evidence.json', 'hopper-evidence-0'],
      ['ls10-evidence.json', 'ls10-evidence-0'],
    ] as const) {
      const [device] = parseCollectedEvidence(readNvidiaFile(file));
      expect(device?.report).toEqual(readNvidiaFile(`${stem}.report.bin`));
      expect(device?.certificates.trim()).toBe(readNvidiaText(`${stem}.chain.pem`).trim());
    }
  });
});

describe('reference manifests of NVIDIA', () => {
  it('are signed as the table says, every one of them', async () => {
    const rows = await Promise.all(listNvidiaRims().map(async (file) => [file, await judgeRim(file)]));
    expect(Object.fromEntries(rows)).toEqual(RIMS);
  });

  it('that differ from what was measured are refused, index by index', async () => {
    const rims = [
      'rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml',
      'rims/NV_GPU_VBIOS_1010_0200_882_96005E0001_measurement_mismatch.xml',
    ].map(readNvidiaFile);
    const found = await verifyGpuEvidence(buildNvidiaRequest('hopper-sample', { rims }));
    const measurements = found.checks.find(({ name }) => name === 'measurements');
    expect(found.verdict).toBe('invalid');
    expect(measurements?.verdict).toBe('failed');
    expect(measurements?.detail).toContain('driver measurement 7 is');
    // Eleven of the twelve values of the VBIOS agree.
    expect(measurements?.detail.match(/VBIOS measurement \d+/g)).toEqual(['VBIOS measurement 9']);
  });

  it('of another device, driver or VBIOS are refused', async () => {
    const rims = [readNvidiaFile('rims/NV_GPU_DRIVER_GH100_550.144.03.xml')];
    const found = await verifyGpuEvidence(buildNvidiaRequest('hopper-evidence-0', { rims }));
    expect(found.checks.find(({ name }) => name === 'rim')).toMatchObject({ verdict: 'failed' });
    expect(found.verdict).toBe('invalid');
  });
});

describe("NVIDIA's pinned roots", () => {
  it.each([
    ['device', 'nvidia_device_root.pem', '102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48'],
    ['rim', 'rims/rim_root.crt', '12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1'],
  ] as const)('%s is that of the vectors', (name, file, fingerprint) => {
    const [der = new Uint8Array()] = splitPem(readNvidiaText(file), 'CERTIFICATE');
    expect(computeFingerprint(findRoot(name).der)).toBe(fingerprint);
    expect(computeFingerprint(der)).toBe(fingerprint);
  });
});
