/** Certificates of the three vendors as OpenSSL reads them. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../../src/tee/x509/certificate.ts';
import { formatSerial } from '../../../../src/tee/x509/der.ts';
import { splitPem } from '../../../../src/tee/x509/pem.ts';

const folder = new URL('../../../vectors/attestation/', import.meta.url);

function readCertificates(name: string): readonly Uint8Array[] {
  const bytes = new Uint8Array(readFileSync(new URL(name, folder)));
  if (name.endsWith('.der')) return [bytes];
  const text = new TextDecoder().decode(bytes);
  if (!name.endsWith('.json')) return splitPem(text, 'CERTIFICATE');
  const bundle = JSON.parse(text) as Record<string, string>;
  return ['tcb_info_issuer_chain', 'pck_crl_issuer_chain'].flatMap((key) => splitPem(bundle[key] ?? '', 'CERTIFICATE'));
}

const files = ['intel-roots', 'nvidia', 'sev-snp', 'sev-snp/chains', 'sgx', 'tdx'].flatMap((part) =>
  readdirSync(new URL(part, folder))
    .filter((name) => /\.(der|pem|collateral\.json)$/u.test(name))
    .map((name) => `${part}/${name}`),
);

describe('certificates', () => {
  it.each(files)('of %s are what OpenSSL reads', (name) => {
    const certificates = readCertificates(name);
    expect(certificates.length).toBeGreaterThan(0);
    for (const der of certificates) {
      const theirs = new X509Certificate(der);
      const ours = parseCertificate(der);
      expect(ours.publicKey).toEqual(new Uint8Array(theirs.publicKey.export({ format: 'der', type: 'spki' })));
      expect(formatSerial(ours.serialNumber)).toBe(theirs.serialNumber.toLowerCase().padStart(2, '0'));
      expect(new Date(ours.notBeforeMs)).toEqual(new Date(theirs.validFrom));
      expect(new Date(ours.notAfterMs)).toEqual(new Date(theirs.validTo));
      expect(ours.isAuthority).toBe(theirs.ca);
      expect(ours.subjectText.split(', ')).toEqual(theirs.subject.split('\n'));
      expect(ours.issuerText.split(', ')).toEqual(theirs.issuer.split('\n'));
    }
  });
});
