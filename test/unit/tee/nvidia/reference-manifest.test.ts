import { describe, expect, it } from 'vitest';
import { decodeUtf8, encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { MAX_RIM_BYTES } from '../../../../src/tee/nvidia/constants.ts';
import { parseReferenceManifest } from '../../../../src/tee/nvidia/rim/reference-manifest.ts';
import { verifyGpuEvidence } from '../../../../src/tee/nvidia/verify-gpu-evidence.ts';
import { buildSwitchRequest, readNvidiaFile, SWITCH_RIM } from '../../../support/nvidia-vectors.ts';

const GENUINE = decodeUtf8(readNvidiaFile(SWITCH_RIM));
const SIGNATURE = GENUINE.slice(GENUINE.indexOf('<ds:Signature '), GENUINE.indexOf('</SoftwareIdentity>'));

/** The genuine manifest with one change, which has to be one. */
function change(from: string | RegExp, to: string): Uint8Array {
  const changed = GENUINE.replace(from, to);
  if (changed === GENUINE) throw new Error(`nothing to replace: ${String(from)}`);
  return encodeUtf8(changed);
}

async function judge(rim: Uint8Array): Promise<readonly string[]> {
  const { verdict, checks } = await verifyGpuEvidence(buildSwitchRequest({ rims: [rim] }));
  expect(verdict).toBe('invalid');
  return checks.filter((check) => check.verdict === 'failed').map(({ name }) => name);
}

describe('a reference manifest', () => {
  it('is read', () => {
    const manifest = parseReferenceManifest(encodeUtf8(GENUINE));
    expect(manifest).toMatchObject({ edition: 'SWITCH', product: 'LS10', version: '96.10.55.00.01' });
    expect(manifest.golden.size).toBe(31);
    expect(manifest.signature.certificates).toHaveLength(4);
  });

  it.each([
    ['another root', /SoftwareIdentity/g, 'SoftwareIdentitx'],
    ['another namespace', /19770\/-2\/2015/g, '19770/-2/2016'],
    ['an edition that is not known', 'edition="SWITCH"', 'edition="NIC"'],
    ['a version that is none', 'colloquialVersion="96', 'colloquialVersion="96 '],
    ['an index twice', 'index="1"', 'index="0"'],
    ['an index that is none', 'index="1"', 'index="-1"'],
    ['no digest', 'ns2:Hash0="959f', 'ns2:Hash0="959'],
    ['fewer digests than it says', 'alternatives="1"', 'alternatives="2"'],
    ['no alternative', 'alternatives="1"', 'alternatives="0"'],
    ['a digest of another hash', '2001/04/xmlenc#sha384" corpus', '2001/04/xmlenc#sha256" corpus'],
    ['another state', 'active="True"', 'active="true"'],
    ['nothing active', /active="True"/g, 'active="False"'],
    ['two payloads', '</ns0:Payload>', '</ns0:Payload><ns0:Payload/>'],
    ['a resource of another kind', 'type="Measurement"', 'type="Image"'],
  ])('with %s is refused', (_, from, to) => {
    expect(() => parseReferenceManifest(change(from, to))).toThrow(TeeError);
  });

  it.each([
    ['no signature', SIGNATURE, ''],
    ['two signatures', SIGNATURE, SIGNATURE + SIGNATURE],
    ['its signature elsewhere', SIGNATURE, `<x>${SIGNATURE}</x>`],
    ['a reference to a part of it', 'URI=""', 'URI="#a"'],
    ['a reference of another kind', 'URI=""', 'URI="" Type="a"'],
    ['another transform', '<ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"/>', ''],
    [
      'one transform more',
      '</ds:Transforms>',
      '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"/></ds:Transforms>',
    ],
    ['a signature of a shared secret', 'ecdsa-sha384', 'hmac-sha384'],
    ['another digest', 'more#sha384"/><ds:DigestValue', 'more#sha224"/><ds:DigestValue'],
    [
      'another canonical form of the signed info',
      'CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"',
      'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"',
    ],
    ['a second reference', /(<ds:Reference.*<\/ds:Reference>)/, '$1$1'],
    ['an object in its signature', '</ds:Signature>', '<ds:Object/></ds:Signature>'],
    ['text in its signature', '</ds:SignedInfo>', '</ds:SignedInfo>text'],
    ['a key by name', /<ds:KeyInfo>.*<\/ds:KeyInfo>/s, '<ds:KeyInfo><ds:KeyName>a</ds:KeyName></ds:KeyInfo>'],
    ['no certificate', /<ds:X509Data>.*<\/ds:X509Data>/s, '<ds:X509Data></ds:X509Data>'],
    ['base64 that is none', '<ds:DigestValue>', '<ds:DigestValue>='],
  ])('with %s is refused', (_, from, to) => {
    expect(() => parseReferenceManifest(change(from, to))).toThrow(TeeError);
  });

  it('too large is refused', () => {
    expect(() => parseReferenceManifest(new Uint8Array(MAX_RIM_BYTES + 1))).toThrow(/at most/);
  });
});

describe('the signature of a reference manifest', () => {
  it('fails when a golden value, a name or white space of it is changed', async () => {
    expect(await judge(change('Hash0="9083', 'Hash0="9183'))).toEqual(['vbios-rim-signature', 'measurements']);
    expect(await judge(change('name="HashedMeasurement_0_FSP"', 'name="HashedMeasurement_0"'))).toEqual([
      'vbios-rim-signature',
    ]);
    expect(await judge(change('</ns0:Payload>', ' </ns0:Payload>'))).toEqual(['vbios-rim-signature']);
  });

  it('fails when it says that a measurement is not judged', async () => {
    expect(await judge(change('active="True"', 'active="False"'))).toEqual(['vbios-rim-signature']);
  });

  it('fails when the digest in it is made to fit', async () => {
    expect(await judge(change('<ds:DigestValue>kz', '<ds:DigestValue>kx'))).toEqual(['vbios-rim-signature']);
    expect(await judge(change('<ds:SignatureValue>rW', '<ds:SignatureValue>rX'))).toEqual(['vbios-rim-signature']);
  });

  it('is believed of no other signer: a chain that comes with it has to lead to the pinned root', async () => {
    const attacker = decodeUtf8(readNvidiaFile('rims/incorrect_cert_chain_driver_rim.xml'));
    const certificates = /<ds:X509Data>.*<\/ds:X509Data>/s.exec(attacker)?.[0] ?? '';
    expect(await judge(change(/<ds:X509Data>.*<\/ds:X509Data>/s, certificates))).toEqual([
      'vbios-rim-signature',
      'vbios-rim-chain',
    ]);
  });

  it('fails when its signer was not valid at the time', async () => {
    const early = await verifyGpuEvidence(buildSwitchRequest({ atMs: Date.parse('2026-05-01T00:00:00Z') }));
    expect(early.checks.filter(({ verdict }) => verdict !== 'passed')).toMatchObject([
      { name: 'vbios-rim-validity', verdict: 'failed' },
    ]);
  });
});
