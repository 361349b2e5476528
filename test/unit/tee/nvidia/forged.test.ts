import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concatBytes, decodeUtf8, encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { OID_DICE_TCB_INFO, OID_SHA384 } from '../../../../src/tee/nvidia/constants.ts';
import { parseMeasurementReport } from '../../../../src/tee/nvidia/measurement-report.ts';
import { OPAQUE_TYPE } from '../../../../src/tee/nvidia/opaque-data.ts';
import { parseReferenceManifest } from '../../../../src/tee/nvidia/rim/reference-manifest.ts';
import { verifyManifest } from '../../../../src/tee/nvidia/rim/verify-manifest.ts';
import { findRoot } from '../../../../src/tee/nvidia/roots.ts';
import { verifyGpuEvidence } from '../../../../src/tee/nvidia/verify-gpu-evidence.ts';
import type { Certificate } from '../../../../src/tee/x509/certificate.ts';
import { der, issue, KEY_USAGE, oid, type Party, PKI_TIME_MS } from '../../../support/evidence-pki.ts';
import {
  buildNvidiaRequest,
  buildSwitchRequest,
  listNotPassed,
  readNvidiaFile,
  SWITCH_RIM,
} from '../../../support/nvidia-vectors.ts';

function toPem(certificates: readonly Certificate[]): string {
  const blocks = certificates.map(({ der: bytes }) => {
    const base64 = Buffer.from(bytes).toString('base64').replaceAll(/.{64}/g, '$&\n').trim();
    return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  });
  return blocks.join('');
}

function signWith({ privateKey }: Party, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha384', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
}

/** An attacker's chain that has every name of NVIDIA's, up to that of the pinned root. */
function forgeDeviceChain(firmwareId: Uint8Array): readonly [leaf: Party, ...issuers: Party[]] {
  const root = {
    name: findRoot('device').subject,
    privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  };
  const rom = issue({ name: 'GH100 A01 GSP BROM', isAuthority: true, keyUsage: KEY_USAGE.authority }, root);
  const tcbInfo = der(0x30, der(0xa6, der(0x30, oid(OID_SHA384), der(0x04, firmwareId))));
  const extensions = [{ oid: OID_DICE_TCB_INFO, value: tcbInfo }];
  const leaf = issue({ name: 'GH100 A01 GSP FMC LF', curve: 'P-384', keyUsage: KEY_USAGE.end, extensions }, rom);
  return [leaf, rom];
}

/** The genuine manifest with one golden value replaced, its digest made to fit, and signed by somebody else. */
function forgeManifest(signer: Party, issuers: readonly Party[]): Uint8Array {
  const changed = decodeUtf8(readNvidiaFile(SWITCH_RIM)).replace('Hash0="9083', 'Hash0="0000');
  const { content } = parseReferenceManifest(encodeUtf8(changed)).signature;
  const digest = createHash('sha384').update(content).digest('base64');
  const data = [signer, ...issuers].map(({ certificate }) => Buffer.from(certificate.der).toString('base64'));
  const certificates = data.map((base64) => `<ds:X509Certificate>${base64}</ds:X509Certificate>`).join('');
  const unsigned = changed
    .replace(/<ds:DigestValue>[^<]*/, `<ds:DigestValue>${digest}`)
    .replace(/<ds:X509Data>.*<\/ds:X509Data>/s, `<ds:X509Data>${certificates}</ds:X509Data>`);
  const { signedInfo } = parseReferenceManifest(encodeUtf8(unsigned)).signature;
  const signature = Buffer.from(signWith(signer, signedInfo)).toString('base64');
  return encodeUtf8(unsigned.replace(/<ds:SignatureValue>[^<]*/, `<ds:SignatureValue>${signature}`));
}

describe('forged evidence', () => {
  it('fails at the chain, though every name, the signature and the firmware id of it hold', async () => {
    const genuine = readNvidiaFile('hopper-evidence-0.report.bin');
    const { signed, opaque } = parseMeasurementReport(genuine);
    const [leaf, ...issuers] = forgeDeviceChain(opaque.get(OPAQUE_TYPE.firmwareId) ?? new Uint8Array());
    const report = concatBytes(signed, signWith(leaf, signed));
    const certificates = toPem([leaf, ...issuers].map(({ certificate }) => certificate));
    const request = buildNvidiaRequest('hopper-evidence-0', { report, certificates, atMs: PKI_TIME_MS });
    const found = await verifyGpuEvidence(request);
    expect(found.verdict).toBe('invalid');
    expect(listNotPassed(found)).toEqual(['chain', 'validity']);
    expect(found.checks.find(({ name }) => name === 'chain')?.detail).toContain(
      'is not of CN=NVIDIA Device Identity CA',
    );
  });
});

describe('a forged manifest', () => {
  const root = issue({ name: 'NVIDIA CoRIM signing Root CA', isAuthority: true, keyUsage: KEY_USAGE.authority });
  const signer = issue({ name: 'NVIDIA Reference Value L4 LS10', curve: 'P-384', keyUsage: KEY_USAGE.end }, root);
  const rim = forgeManifest(signer, [root]);

  it('would be believed under its own root', async () => {
    const manifest = parseReferenceManifest(rim);
    const request = { role: 'vbios', manifest, atMs: PKI_TIME_MS, crypto: new NodeEvidenceCrypto() } as const;
    expect(listNotPassed({ checks: await verifyManifest({ ...request, root: root.certificate }) })).toEqual([]);
    expect(listNotPassed({ checks: await verifyManifest({ ...request, root: findRoot('rim') }) })).toEqual([
      'vbios-rim-chain',
      'vbios-rim-validity',
    ]);
  });

  it('is not believed, its own root among its certificates counts for nothing', async () => {
    const found = await verifyGpuEvidence(buildSwitchRequest({ rims: [rim], atMs: PKI_TIME_MS }));
    expect(found.verdict).toBe('invalid');
    expect(listNotPassed(found)).toEqual(['vbios-rim-chain', 'vbios-rim-validity', 'measurements']);
  });
});
