import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8 } from '../../../../src/lib/bytes.ts';
import type { NvidiaVerificationRequest } from '../../../../src/tee/nvidia/interface.ts';
import { verifyGpuEvidence } from '../../../../src/tee/nvidia/verify-gpu-evidence.ts';
import {
  buildNvidiaRequest,
  buildSwitchRequest,
  listNotPassed,
  readNvidiaFile,
  readNvidiaText,
  SWITCH_RIM,
} from '../../../support/nvidia-vectors.ts';

const HOPPER = 'hopper-evidence-0';

async function judge(changes: Partial<NvidiaVerificationRequest>): Promise<readonly string[]> {
  return listNotPassed(await verifyGpuEvidence(buildNvidiaRequest(HOPPER, changes)));
}

function splitChain(text: string): readonly string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}

function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const index = Math.floor(bit / 8);
  return bytes.with(index, (bytes[index] ?? 0) ^ (1 << (bit % 8)));
}

describe('evidence of a GPU', () => {
  it('has to answer the nonce that was asked', async () => {
    expect(await judge({})).toEqual([]);
    expect(await judge({ nonce: new Uint8Array(32) })).toEqual(['nonce']);
    expect(await judge({ nonce: new Uint8Array() })).toEqual(['nonce']);
    const { nonce: _, ...withoutNonce } = buildNvidiaRequest(HOPPER);
    const open = await verifyGpuEvidence(withoutNonce);
    expect(open).toMatchObject({ verdict: 'unchecked' });
    expect(listNotPassed(open)).toEqual(['nonce']);
  });

  it('of another device does not pass with this certificate', async () => {
    const certificates = readNvidiaText('hopper-trustee.chain.pem');
    expect(await judge({ certificates })).toEqual(['report-signature', 'firmware-id']);
  });

  it('needs the whole chain to the pinned root, and no root of the caller', async () => {
    const chain = splitChain(readNvidiaText(`${HOPPER}.chain.pem`));
    expect(chain).toHaveLength(5);
    expect(await judge({ certificates: chain.slice(0, 4).join('') })).toEqual([]);
    expect(await judge({ certificates: chain.slice(0, 3).join('') })).toEqual(['chain', 'validity']);
    // The root of the manifests is genuine, and none of devices.
    const foreign = [...chain.slice(0, 3), readNvidiaText('rims/rim_root.crt')].join('');
    expect(await judge({ certificates: foreign })).toEqual(['chain', 'validity']);
  });

  it('is signed by the first certificate, which is of no authority and of a chip that is known', async () => {
    const [leaf = '', rom = '', ...rest] = splitChain(readNvidiaText(`${HOPPER}.chain.pem`));
    const found = await verifyGpuEvidence(buildNvidiaRequest(HOPPER, { certificates: [rom, leaf, ...rest].join('') }));
    expect(found).toMatchObject({ verdict: 'invalid', claims: null });
    expect(found.checks[0]?.detail).toContain('names no chip that is known here');
  });

  it('is not signed by an authority, nor by a key of no firmware', async () => {
    // The boot ROM's certificate, with another name in place of its issuer's: its signature no longer holds.
    const [, rom = ''] = splitChain(readNvidiaText(`${HOPPER}.chain.pem`));
    const der = Buffer.from(rom.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64').toString('latin1');
    const renamed = der.replace('NVIDIA GH100 Provisioner ICA 1', 'GH100 A01 GSP BROM............');
    expect(renamed).not.toBe(der);
    const base64 = Buffer.from(renamed, 'latin1').toString('base64').replaceAll(/.{64}/g, '$&\n');
    const certificates = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
    expect(await judge({ certificates })).toEqual(['chain', 'validity', 'signer', 'report-signature', 'firmware-id']);
  });

  it('is judged at the time of evaluation', async () => {
    const early = await verifyGpuEvidence(buildNvidiaRequest(HOPPER, { atMs: Date.parse('2021-01-01T00:00:00Z') }));
    expect(early).toMatchObject({ verdict: 'invalid', evaluatedAtMs: Date.parse('2021-01-01T00:00:00Z') });
    expect(listNotPassed(early)).toEqual(['validity']);
  });

  it('of certificates or manifests that are none gets a verdict', async () => {
    for (const certificates of ['', 'no PEM', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
      const found = await verifyGpuEvidence(buildNvidiaRequest(HOPPER, { certificates }));
      expect(found).toMatchObject({ verdict: 'invalid', claims: null });
    }
    expect(await judge({ rims: [new Uint8Array([1, 2, 3])] })).toEqual(['rim']);
  });

  it('takes one manifest for each part, not two', async () => {
    const rim = readNvidiaFile(SWITCH_RIM);
    expect(listNotPassed(await verifyGpuEvidence(buildSwitchRequest({ rims: [rim, rim] })))).toEqual(['rim']);
    expect(listNotPassed(await verifyGpuEvidence(buildSwitchRequest({ rims: [rim, rim, rim] })))).toEqual([
      'rim',
      'measurements',
    ]);
  });

  it('with any bit of the report flipped is refused', async () => {
    const report = readNvidiaFile(`${HOPPER}.report.bin`);
    const nonce = report.slice(4, 36);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: report.length * 8 - 1 }), async (bit) => {
        const found = await verifyGpuEvidence(buildNvidiaRequest(HOPPER, { report: flipBit(report, bit), nonce }));
        expect(found.verdict).toBe('invalid');
      }),
      { numRuns: 30 },
    );
  });

  it('with any bit of the manifest flipped is refused, up to the copy of the root in it, which counts for nothing', async () => {
    const rim = readNvidiaFile(SWITCH_RIM);
    const judged = decodeUtf8(rim).lastIndexOf('<ds:X509Certificate>');
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: judged * 8 - 1 }), async (bit) => {
        const found = await verifyGpuEvidence(buildSwitchRequest({ rims: [flipBit(rim, bit)] }));
        expect(found.verdict).toBe('invalid');
      }),
      { numRuns: 12 },
    );
  });
});
