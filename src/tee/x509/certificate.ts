/** X.509 version 3 certificates (RFC 5280, section 4.1), as far as vendors' evidence needs them. */
import { areBytesEqual } from '../../lib/bytes.ts';
import type { SignatureScheme } from '../interface.ts';
import { MAX_CERTIFICATE_BYTES, OID, TAG } from './constants.ts';
import { DerReader, readBoolean, readIntegerBytes, readSmallInteger, readTime } from './der.ts';
import { type Extension, listCritical, readExtensions } from './extensions.ts';
import { formatName } from './name.ts';
import { openSignedForm } from './signed-form.ts';

export interface Certificate {
  readonly der: Uint8Array;
  /** What is signed. */
  readonly tbs: Uint8Array;
  /** Names as DER, compared byte by byte. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subjectText: string;
  readonly issuerText: string;
  /** Content of the INTEGER. */
  readonly serialNumber: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Of its own signature; null if no vendor here uses it. */
  readonly scheme: SignatureScheme | null;
  /** ECDSA: r || s. */
  readonly signature: Uint8Array;
  readonly isAuthority: boolean;
  /** Certificates of authorities that may follow below it; null: any number. */
  readonly pathLength: number | null;
  /** Its key usage, if it states one, allows certificates to be signed. */
  readonly mayHaveSigned: boolean;
  /** Its key usage, if it states one, allows revocation lists to be signed. */
  readonly mayHaveSignedCrls: boolean;
  readonly criticalExtensions: readonly string[];
  findExtension(oid: string): Extension | undefined;
}

const KEY_CERT_SIGN = 5;
const CRL_SIGN = 6;

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseCertificate(der: Uint8Array): Certificate {
  const { form, body, algorithm } = openSignedForm('a certificate', der, MAX_CERTIFICATE_BYTES);
  return { ...form, ...readFields(body, algorithm) };
}

function readFields(
  reader: DerReader,
  outerAlgorithm: Uint8Array,
): Omit<Certificate, 'der' | 'tbs' | 'scheme' | 'signature'> {
  const version = reader.enter(TAG.explicit0);
  if (readSmallInteger(version) !== 2) version.fail('only version 3 is known here');
  version.assertEnd();
  const serialNumber = readIntegerBytes(reader);
  const algorithm = reader.read(TAG.sequence);
  if (!areBytesEqual(algorithm.whole, outerAlgorithm)) {
    reader.fail('the signature algorithm differs inside and outside', algorithm.offset);
  }
  const issuer = reader.read(TAG.sequence);
  const validity = reader.enter(TAG.sequence);
  const [notBeforeMs, notAfterMs] = [readTime(validity), readTime(validity)];
  validity.assertEnd();
  const subject = reader.read(TAG.sequence);
  const publicKey = reader.read(TAG.sequence).whole;
  const wrapped = reader.readOptional(TAG.explicit3);
  reader.assertEnd();
  const extensions = wrapped === undefined ? new Map<string, Extension>() : readWrapped(reader.open(wrapped));
  return {
    subject: subject.whole,
    issuer: issuer.whole,
    subjectText: formatName("a certificate's subject", subject),
    issuerText: formatName("a certificate's issuer", issuer),
    serialNumber,
    notBeforeMs,
    notAfterMs,
    publicKey,
    ...readBasicConstraints(extensions.get(OID.basicConstraints)),
    ...readKeyUsage(extensions.get(OID.keyUsage)),
    criticalExtensions: listCritical(extensions),
    findExtension: (oid) => extensions.get(oid),
  };
}

function readWrapped(reader: DerReader): ReadonlyMap<string, Extension> {
  const extensions = readExtensions(reader);
  reader.assertEnd();
  return extensions;
}

/** RFC 5280, section 4.2.1.9. */
function readBasicConstraints(extension: Extension | undefined): Pick<Certificate, 'isAuthority' | 'pathLength'> {
  if (extension === undefined) return { isAuthority: false, pathLength: null };
  const outer = new DerReader('the basic constraints of a certificate', extension.value);
  const reader = outer.enter(TAG.sequence);
  outer.assertEnd();
  const isAuthority = reader.nextTag === TAG.boolean ? readBoolean(reader) : false;
  const pathLength = reader.nextTag === TAG.integer ? readSmallInteger(reader) : null;
  reader.assertEnd();
  return { isAuthority, pathLength };
}

/** RFC 5280, section 4.2.1.3: bits are counted from the most significant. */
function readKeyUsage(extension: Extension | undefined): Pick<Certificate, 'mayHaveSigned' | 'mayHaveSignedCrls'> {
  if (extension === undefined) return { mayHaveSigned: true, mayHaveSignedCrls: true };
  const reader = new DerReader('the key usage of a certificate', extension.value);
  const [unused = 8, first = 0] = reader.read(TAG.bitString).content;
  reader.assertEnd();
  if (unused > 7) reader.fail('a bit string with more than seven unused bits');
  const has = (bit: number): boolean => (first & (0x80 >> bit)) !== 0;
  return { mayHaveSigned: has(KEY_CERT_SIGN), mayHaveSignedCrls: has(CRL_SIGN) };
}
