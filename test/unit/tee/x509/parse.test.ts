import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TeeError } from '../../../../src/tee/errors.ts';
import { parseCertificate } from '../../../../src/tee/x509/certificate.ts';
import {
  DerReader,
  formatSerial,
  readObjectIdentifier,
  readSmallInteger,
  readTime,
} from '../../../../src/tee/x509/der.ts';
import { splitPem } from '../../../../src/tee/x509/pem.ts';
import { parseRevocationList } from '../../../../src/tee/x509/revocation-list.ts';
import { createRevocationList, der, issue, PKI_TIME_MS } from '../../../support/evidence-pki.ts';

const root = issue({ name: 'root', isAuthority: true, pathLength: 3 });
const vectors = new URL('../../../vectors/attestation/', import.meta.url);
const collateral = JSON.parse(readFileSync(new URL('tdx/tdx-v4-phala.collateral.json', vectors), 'utf8')) as Record<
  string,
  string
>;
const intelRoot = new Uint8Array(readFileSync(new URL('intel-roots/IntelSGXRootCA.der', vectors)));
const pckList = Uint8Array.from(Buffer.from(collateral['pck_crl'] ?? '', 'hex'));

function codeOf(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (error instanceof TeeError) return error.code;
    throw error;
  }
}

describe('a certificate', () => {
  it("is read: Intel's root", () => {
    expect(parseCertificate(intelRoot)).toMatchObject({
      subjectText: 'CN=Intel SGX Root CA, O=Intel Corporation, L=Santa Clara, ST=CA, C=US',
      issuerText: 'CN=Intel SGX Root CA, O=Intel Corporation, L=Santa Clara, ST=CA, C=US',
      notBeforeMs: Date.parse('2018-05-21T10:45:10Z'),
      notAfterMs: Date.parse('2049-12-31T23:59:59Z'),
      scheme: 'ecdsa-p256-sha256',
      isAuthority: true,
      pathLength: 1,
      mayHaveSigned: true,
      mayHaveSignedCrls: true,
      criticalExtensions: ['2.5.29.15', '2.5.29.19'],
    });
  });

  it('shows no character that a terminal obeys', () => {
    expect(issue({ name: 'a\u001b[2Jb\n' }).certificate.subjectText).toBe('CN=a?[2Jb?');
  });

  it('without a key usage may sign everything, as the standard has it', () => {
    expect(root.certificate).toMatchObject({ mayHaveSigned: true, mayHaveSignedCrls: true, pathLength: 3 });
  });

  it('is refused with bytes behind it, above its size, and cut at any place', () => {
    expect(codeOf(() => parseCertificate(Uint8Array.of(...intelRoot, 0)))).toBe('TEE_MALFORMED');
    expect(codeOf(() => parseCertificate(new Uint8Array(16 * 1024 + 1)))).toBe('TEE_TOO_LARGE');
    for (let length = 0; length < intelRoot.length; length++) {
      expect(codeOf(() => parseCertificate(intelRoot.subarray(0, length)))).toBe('TEE_MALFORMED');
    }
  });

  it('is refused where the algorithm inside differs from the one outside', () => {
    const changed = Uint8Array.from(intelRoot);
    const at = Buffer.from(intelRoot).lastIndexOf(Buffer.from('2a8648ce3d040302', 'hex'));
    changed[at + 7] = 3;
    expect(() => parseCertificate(changed)).toThrow(/algorithm differs/u);
  });

  it('is refused with the same extension twice', () => {
    const extension = { oid: '1.2.3', value: Uint8Array.of(5, 0) };
    expect(() => issue({ name: 'x', extensions: [extension, extension] })).toThrow(/comes twice/u);
  });
});

describe('a revocation list', () => {
  it("is read: Intel's of its platform CA", () => {
    const list = parseRevocationList(pckList);
    expect(list).toMatchObject({
      thisUpdateMs: Date.parse('2025-06-19T10:00:35Z'),
      nextUpdateMs: Date.parse('2025-07-19T10:00:35Z'),
      criticalExtensions: [],
    });
    expect(list.revoked.size).toBe(44);
    expect(list.revoked.has('6fc34e5023e728923435d61aa4b83c618166ad35')).toBe(true);
    // Written with a zero byte before it: its first bit is set.
    expect(list.revoked.has('efae6e9715fca13b87e333e8261ed6d990a926ad')).toBe(true);
  });

  it('is refused with bytes behind it, above its size, and cut at any place', () => {
    const list = createRevocationList(root, { revoked: [Uint8Array.of(7)] }).der;
    expect(codeOf(() => parseRevocationList(Uint8Array.of(...list, 0)))).toBe('TEE_MALFORMED');
    expect(codeOf(() => parseRevocationList(new Uint8Array(4 * 1024 * 1024 + 1)))).toBe('TEE_TOO_LARGE');
    for (let length = 0; length < list.length; length++) {
      expect(codeOf(() => parseRevocationList(list.subarray(0, length)))).toBe('TEE_MALFORMED');
    }
  });
});

describe('bytes that are anything', () => {
  it('give a certificate, a list or a TeeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.integer({ min: 0, max: 255 }), (bytes, at, value) => {
        codeOf(() => parseCertificate(bytes));
        codeOf(() => parseRevocationList(bytes));
        const changed = Uint8Array.from(intelRoot);
        changed[at % changed.length] = value;
        codeOf(() => parseCertificate(changed));
        const list = Uint8Array.from(pckList);
        list[at % 400] = value;
        codeOf(() => parseRevocationList(list));
      }),
      { numRuns: 100 },
    );
  });
});

describe('DER', () => {
  const read = (...bytes: readonly number[]) => new DerReader('it', Uint8Array.from(bytes));

  it('is refused in every form of BER that is not its own', () => {
    expect(() => read(0x30, 0x80, 0, 0).readAny()).toThrow(/indefinite/u);
    expect(() => read(0x30, 0x81, 0x01, 0).readAny()).toThrow(/shortest/u);
    expect(() => read(0x30, 0x82, 0x00, 0x80).readAny()).toThrow(/shortest/u);
    expect(() => read(0x1f, 0x81, 0x01, 0).readAny()).toThrow(/more than one byte/u);
    expect(() => read(0x30, 0x85, 1, 1, 1, 1, 1).readAny()).toThrow(/more than four/u);
    expect(() => readSmallInteger(read(0x02, 2, 0, 1))).toThrow(/shortest/u);
    expect(() => readSmallInteger(read(0x02, 1, 0x80))).toThrow(/negative/u);
    expect(() => readSmallInteger(read(0x02, 0))).toThrow(/empty/u);
    expect(() => readObjectIdentifier(read(0x06, 2, 0x80, 1))).toThrow(/shortest/u);
    expect(() => readObjectIdentifier(read(0x06, 1, 0x81))).toThrow(/ends early/u);
  });

  it('names the place of an error', () => {
    const outer = new DerReader('it', der(0x30, Uint8Array.of(0x02, 1, 5, 0x05)));
    const inner = outer.enter(0x30);
    inner.readAny();
    expect(() => inner.readAny()).toThrow(/at byte 5/u);
  });

  it('reads times of both forms and no others', () => {
    const timeOf = (tag: number, text: string) =>
      readTime(new DerReader('it', der(tag, new TextEncoder().encode(text))));
    expect(timeOf(0x17, '491231235959Z')).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(timeOf(0x17, '500101000000Z')).toBe(Date.UTC(1950, 0, 1));
    expect(timeOf(0x18, '20260101000000Z')).toBe(PKI_TIME_MS);
    for (const text of ['20260230000000Z', '20260101000000', '202601010000Z', '20260101000000.5Z', '']) {
      expect(() => timeOf(0x18, text)).toThrow(TeeError);
    }
    expect(() => timeOf(0x04, '20260101000000Z')).toThrow(TeeError);
  });

  it('compares serial numbers without the zero that keeps them positive', () => {
    expect(formatSerial(Uint8Array.of(0, 0x80))).toBe('80');
    expect(formatSerial(Uint8Array.of(0))).toBe('00');
  });
});

describe('PEM', () => {
  const [intelPem = ''] = (collateral['pck_crl_issuer_chain'] ?? '').split(/(?<=-----END CERTIFICATE-----\n)/u);

  it('is split into blocks, with empty lines and either line end', () => {
    const chain = splitPem(collateral['tcb_info_issuer_chain'] ?? '', 'CERTIFICATE');
    expect(chain).toHaveLength(2);
    expect(chain[1]).toEqual(intelRoot);
    expect(splitPem(`\n${intelPem.replaceAll('\n', '\r\n')}\n`, 'CERTIFICATE')).toEqual(
      splitPem(intelPem, 'CERTIFICATE'),
    );
    expect(splitPem('', 'CERTIFICATE')).toEqual([]);
  });

  it.each([
    ['text outside its blocks', `x\n${intelPem}`],
    ['another label', intelPem.replaceAll('CERTIFICATE', 'X509 CRL')],
    ['no end', intelPem.slice(0, -10)],
    ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
    ['base64 with bits left over', '-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n'],
    ['base64 without its padding', '-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n'],
    ['padding inside', '-----BEGIN CERTIFICATE-----\nAA==\nAA==\n-----END CERTIFICATE-----\n'],
    ['too many blocks', intelPem.repeat(17)],
  ])('is refused with %s', (_, text) => {
    expect(codeOf(() => splitPem(text, 'CERTIFICATE'))).toBe('TEE_MALFORMED');
  });

  it('is refused above its size', () => {
    expect(codeOf(() => splitPem('\n'.repeat(256 * 1024 + 1), 'CERTIFICATE'))).toBe('TEE_TOO_LARGE');
  });
});
