import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { AMD_OIDS } from '../../../../src/tee/sev-snp/constants.ts';
import { isEndorsement, parseEndorsement } from '../../../../src/tee/sev-snp/endorsement.ts';
import { findPinnedCertificate } from '../../../../src/tee/sev-snp/pinned-certificates.ts';
import { findProductOfCpu } from '../../../../src/tee/sev-snp/products.ts';
import { verifySevSnp } from '../../../../src/tee/sev-snp/verify-sev-snp.ts';
import { parseCertificate } from '../../../../src/tee/x509/certificate.ts';
import { der, type ExtensionSpec, integer, issue, PKI_TIME_MS } from '../../../support/evidence-pki.ts';
import { buildSnpRequest, readSnpFile } from '../../../support/sev-snp-vectors.ts';

type Values = Readonly<Record<string, Uint8Array>>;

const ia5 = (text: string): Uint8Array => der(0x16, encodeUtf8(text));
const level = (number: number): string => `${AMD_OIDS.securityPatchLevels}.${number}`;

const MILAN: Values = {
  [AMD_OIDS.productName]: ia5('Milan-B0'),
  [level(1)]: integer(3),
  [level(2)]: integer(0),
  [level(3)]: integer(8),
  [level(8)]: integer(200),
  [AMD_OIDS.hardwareId]: new Uint8Array(64).fill(7),
};

function certify(values: Values) {
  const extensions: ExtensionSpec[] = Object.entries(values).map(([oid, value]) => ({ oid, value }));
  return issue({ name: 'SEV-VCEK', extensions }).certificate;
}

function without(...oids: string[]): Values {
  return Object.fromEntries(Object.entries(MILAN).filter(([oid]) => !oids.includes(oid)));
}

describe('parseEndorsement', () => {
  it('reads what AMD certifies, levels from 128 on too', () => {
    expect(parseEndorsement(certify(MILAN))).toMatchObject({
      kind: 'vcek',
      product: 'milan',
      productName: 'Milan-B0',
      tcb: { bootLoader: 3, tee: 0, snp: 8, microcode: 200 },
    });
    const vlek = { ...without(AMD_OIDS.hardwareId), [AMD_OIDS.cloudProvider]: ia5('CN=cloud') };
    expect(parseEndorsement(certify(vlek))).toMatchObject({ kind: 'vlek', cloudProvider: 'CN=cloud' });
  });

  it('reads Turin with its own part and its short chip id', () => {
    const turin = {
      ...MILAN,
      [AMD_OIDS.productName]: ia5('Turin'),
      [level(9)]: integer(1),
      [AMD_OIDS.hardwareId]: new Uint8Array(8),
    };
    expect(parseEndorsement(certify(turin))).toMatchObject({ product: 'turin', tcb: { fmc: 1, microcode: 200 } });
    const { [level(9)]: _, ...noFmc } = turin;
    expect(() => parseEndorsement(certify(noFmc))).toThrow(TeeError);
  });

  it.each<[string, Values]>([
    ['without a product', without(AMD_OIDS.productName)],
    ['of an unknown product', { ...MILAN, [AMD_OIDS.productName]: ia5('Rome') }],
    ['of a product in another type', { ...MILAN, [AMD_OIDS.productName]: der(0x0c, encodeUtf8('Milan')) }],
    ['with bytes behind the product', { ...MILAN, [AMD_OIDS.productName]: new Uint8Array([...ia5('Milan'), 0]) }],
    ['without a level', without(level(8))],
    ['with a level that is no byte', { ...MILAN, [level(8)]: integer(256) }],
    ['with a negative level', { ...MILAN, [level(8)]: der(0x02, Uint8Array.of(0x80)) }],
    ['with a reserved level', { ...MILAN, [level(5)]: integer(1) }],
    ['with a level of another product', { ...MILAN, [level(9)]: integer(1) }],
    ['with a short chip id', { ...MILAN, [AMD_OIDS.hardwareId]: new Uint8Array(8) }],
    ['with neither chip nor provider', without(AMD_OIDS.hardwareId)],
    ['with chip and provider', { ...MILAN, [AMD_OIDS.cloudProvider]: ia5('CN=cloud') }],
    [
      'with a provider that is not printable',
      { ...without(AMD_OIDS.hardwareId), [AMD_OIDS.cloudProvider]: ia5('a\u001b[2J') },
    ],
  ])('refuses one %s', (_, values) => {
    expect(() => parseEndorsement(certify(values))).toThrow(TeeError);
  });

  it('takes no authority for an endorsement', () => {
    expect(isEndorsement(findPinnedCertificate('milan', 'ask'))).toBe(false);
    expect(isEndorsement(certify(MILAN))).toBe(true);
  });
});

describe('a chain that comes with a report', () => {
  const report = 'milan-v2-virtee';
  const genuine = parseCertificate(readSnpFile(`${report}.vcek.der`));
  const copied = [...Object.values(AMD_OIDS), ...[1, 2, 3, 4, 5, 6, 7, 8].map(level)].flatMap((oid) => {
    const value = genuine.findExtension(oid)?.value;
    return value === undefined ? [] : [{ oid, value }];
  });

  it('never replaces what is pinned, though it says all the same', async () => {
    const root = issue({ name: 'ARK-Milan', isAuthority: true, keyUsage: 6 });
    const authority = issue({ name: 'SEV-Milan', isAuthority: true, keyUsage: 6 }, root);
    for (const name of [authority.name, findPinnedCertificate('milan', 'ask').subject]) {
      const leaf = issue({ name: 'SEV-VCEK', extensions: copied }, { name, privateKey: authority.privateKey });
      const certificates = [leaf, authority, root].map(({ certificate }) => certificate.der);
      const { verdict, checks } = await verifySevSnp(buildSnpRequest(report, { certificates, atMs: PKI_TIME_MS }));
      const named = Object.fromEntries(checks.map((check) => [check.name, check.verdict]));
      expect({ verdict, ...named }).toMatchObject({
        verdict: 'invalid',
        certificate: 'passed',
        tcb: 'passed',
        'chip-id': 'passed',
        chain: 'failed',
        'report-signature': 'failed',
      });
    }
  });

  it('is not accepted for a VLEK from the authority of VCEKs', async () => {
    const privateKey = issue({ name: 'x' }).privateKey;
    const { subject } = findPinnedCertificate('milan', 'ask');
    const extensions = [
      ...copied.filter(({ oid }) => oid !== AMD_OIDS.hardwareId),
      { oid: AMD_OIDS.cloudProvider, value: ia5('CN=cloud') },
    ];
    const leaf = issue({ name: 'SEV-VLEK', extensions }, { name: subject, privateKey });
    const { checks } = await verifySevSnp(buildSnpRequest(report, { certificates: [leaf.certificate.der] }));
    expect(checks.find(({ name }) => name === 'chain')?.detail).toMatch(/^no certificate of .*SEV-Milan/u);
  });
});

describe('findProductOfCpu', () => {
  it.each([
    [0x19, 0x01, 'milan'],
    [0x19, 0x0f, 'milan'],
    [0x19, 0x11, 'genoa'],
    [0x19, 0xa0, 'genoa'],
    [0x1a, 0x02, 'turin'],
    [0x1a, 0x11, 'turin'],
    [0x19, 0x20, undefined],
    [0x1a, 0x12, undefined],
    [0x17, 0x31, undefined],
  ])('family %i, model %i is %s', (family, model, product) => {
    expect(findProductOfCpu({ family, model, stepping: 0 })).toBe(product);
  });
});
