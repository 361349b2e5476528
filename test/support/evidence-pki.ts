/** A throw-away PKI of X.509 certificates and revocation lists, signed with P-256 keys. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concatBytes } from '../../src/lib/bytes.ts';
import { type Certificate, parseCertificate } from '../../src/tee/x509/certificate.ts';
import { parseRevocationList, type RevocationList } from '../../src/tee/x509/revocation-list.ts';

export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents);
  const length = content.length;
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), content);
  const digits = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return concatBytes(Uint8Array.of(tag, 0x80 | digits.length, ...digits), content);
}

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((part) => {
    const groups = [part & 0x7f];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Uint8Array.from(bytes));
}

export function commonName(name: string): Uint8Array {
  return der(0x30, der(0x31, der(0x30, oid('2.5.4.3'), der(0x0c, new TextEncoder().encode(name)))));
}

function time(timeMs: number): Uint8Array {
  const digits = new Date(timeMs).toISOString().replaceAll(/[-:T]|\.\d+/gu, '');
  return der(0x18, new TextEncoder().encode(digits));
}

export function integer(value: number): Uint8Array {
  const digits: number[] = [];
  for (let left = value; left > 0 || digits.length === 0; left = Math.floor(left / 256)) digits.unshift(left & 0xff);
  if ((digits[0] ?? 0) >= 0x80) digits.unshift(0);
  return der(0x02, Uint8Array.from(digits));
}

export interface ExtensionSpec {
  readonly oid: string;
  readonly critical?: boolean;
  readonly value: Uint8Array;
}

function encodeExtensions(extensions: readonly ExtensionSpec[]): Uint8Array {
  const list = extensions.map(({ oid: id, critical, value }) =>
    der(0x30, oid(id), ...(critical === true ? [der(0x01, Uint8Array.of(0xff))] : []), der(0x04, value)),
  );
  return der(0x30, ...list);
}

const ECDSA_SHA256 = der(0x30, oid('1.2.840.10045.4.3.2'));
const DAY_MS = 86_400_000;

/** When everything is valid unless a test says otherwise. */
export const PKI_TIME_MS = Date.UTC(2026, 0, 1);

/** Bits of a key usage: digitalSignature 0x80, keyCertSign 0x04, cRLSign 0x02. */
export const KEY_USAGE = { end: 0x80, authority: 0x06, certificatesOnly: 0x04, listsOnly: 0x02 } as const;

export interface CertificateSpec {
  readonly name: string;
  readonly serial?: number;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  /** Undefined: none stated. */
  readonly keyUsage?: number | undefined;
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  readonly extensions?: readonly ExtensionSpec[];
  /** Of its own key; only one of P-256 may issue here. */
  readonly curve?: 'P-256' | 'P-384';
}

export interface Party {
  readonly name: Uint8Array;
  readonly privateKey: KeyObject;
  readonly certificate: Certificate;
}

function encodeTbs(spec: CertificateSpec, issuer: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const { isAuthority = false, keyUsage, pathLength } = spec;
  const basic = [
    ...(isAuthority ? [der(0x01, Uint8Array.of(0xff))] : []),
    ...(pathLength === undefined ? [] : [integer(pathLength)]),
  ];
  const extensions: readonly ExtensionSpec[] = [
    { oid: '2.5.29.19', critical: true, value: der(0x30, ...basic) },
    ...(keyUsage === undefined
      ? []
      : [{ oid: '2.5.29.15', critical: true, value: der(0x03, Uint8Array.of(0, keyUsage)) }]),
    ...(spec.extensions ?? []),
  ];
  const validity = [spec.notBeforeMs ?? PKI_TIME_MS - DAY_MS, spec.notAfterMs ?? PKI_TIME_MS + DAY_MS].map(time);
  return der(
    0x30,
    der(0xa0, integer(2)),
    integer(spec.serial ?? 1),
    ECDSA_SHA256,
    issuer,
    der(0x30, ...validity),
    commonName(spec.name),
    publicKey,
    der(0xa3, encodeExtensions(extensions)),
  );
}

function signed(tbs: Uint8Array, key: KeyObject): Uint8Array {
  const signature = sign('sha256', tbs, key);
  return der(0x30, tbs, ECDSA_SHA256, der(0x03, Uint8Array.of(0), signature));
}

/** Without an issuer it signs itself. */
export function issue(
  spec: CertificateSpec,
  issuer?: { readonly name: Uint8Array; readonly privateKey: KeyObject },
): Party {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: spec.curve ?? 'P-256' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const name = commonName(spec.name);
  const tbs = encodeTbs(spec, issuer?.name ?? name, spki);
  return { name, privateKey, certificate: parseCertificate(signed(tbs, issuer?.privateKey ?? privateKey)) };
}

export interface RevocationListSpec {
  readonly revoked?: readonly Uint8Array[];
  readonly thisUpdateMs?: number;
  /** Null: none stated. */
  readonly nextUpdateMs?: number | null;
  readonly extensions?: readonly ExtensionSpec[];
  readonly entryExtensions?: readonly ExtensionSpec[];
}

/** `revoked`: contents of serial numbers. */
export function encodeRevocationList(
  issuer: { readonly name: Uint8Array; readonly privateKey: KeyObject },
  spec: RevocationListSpec = {},
): Uint8Array {
  const { revoked = [], nextUpdateMs = PKI_TIME_MS + DAY_MS } = spec;
  const entries = revoked.map((serial) =>
    der(
      0x30,
      der(0x02, serial),
      time(PKI_TIME_MS - DAY_MS),
      ...(spec.entryExtensions === undefined ? [] : [encodeExtensions(spec.entryExtensions)]),
    ),
  );
  const tbs = der(
    0x30,
    integer(1),
    ECDSA_SHA256,
    issuer.name,
    time(spec.thisUpdateMs ?? PKI_TIME_MS - DAY_MS),
    ...(nextUpdateMs === null ? [] : [time(nextUpdateMs)]),
    ...(entries.length === 0 ? [] : [der(0x30, ...entries)]),
    ...(spec.extensions === undefined ? [] : [der(0xa0, encodeExtensions(spec.extensions))]),
  );
  return signed(tbs, issuer.privateKey);
}

export function createRevocationList(
  issuer: { readonly name: Uint8Array; readonly privateKey: KeyObject },
  spec: RevocationListSpec = {},
): RevocationList {
  return parseRevocationList(encodeRevocationList(issuer, spec));
}
