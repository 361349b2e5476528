import { concatBytes, encodeHex } from '../../lib/bytes.ts';
import type { SignatureScheme } from '../interface.ts';
import { TAG } from './constants.ts';
import { DerReader, readIntegerBytes } from './der.ts';

const PSS_SHA384 =
  'a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130';
const PSS_SHA256 =
  'a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120';

/** AlgorithmIdentifiers (DER, hex), parameters and all: nothing but these exact forms. RFC 5758, RFC 4055. */
const SCHEMES: Readonly<Record<string, SignatureScheme>> = {
  '300a06082a8648ce3d040302': 'ecdsa-p256-sha256',
  '300a06082a8648ce3d040303': 'ecdsa-p384-sha384',
  [`304106092a864886f70d01010a3034${PSS_SHA384}`]: 'rsa-pss-sha384',
  [`304606092a864886f70d01010a3039${PSS_SHA384}a303020101`]: 'rsa-pss-sha384',
  [`304106092a864886f70d01010a3034${PSS_SHA256}`]: 'rsa-pss-sha256',
  [`304606092a864886f70d01010a3039${PSS_SHA256}a303020101`]: 'rsa-pss-sha256',
  '300d06092a864886f70d01010b0500': 'rsa-pkcs1-sha256',
  '300d06092a864886f70d01010c0500': 'rsa-pkcs1-sha384',
};

const CURVE_BYTES: Partial<Record<SignatureScheme, number>> = { 'ecdsa-p256-sha256': 32, 'ecdsa-p384-sha384': 48 };

/** Null for an algorithm that no vendor here uses. */
export function parseScheme(algorithm: Uint8Array): SignatureScheme | null {
  return SCHEMES[encodeHex(algorithm)] ?? null;
}

/** ECDSA's SEQUENCE of two integers becomes r || s; the others stay as they are. */
export function decodeSignature(what: string, scheme: SignatureScheme | null, bits: Uint8Array): Uint8Array {
  const size = scheme === null ? undefined : CURVE_BYTES[scheme];
  if (size === undefined) return bits;
  const outer = new DerReader(what, bits);
  const reader = outer.enter(TAG.sequence);
  outer.assertEnd();
  const r = readUnsigned(reader, size);
  const s = readUnsigned(reader, size);
  reader.assertEnd();
  return concatBytes(r, s);
}

function readUnsigned(reader: DerReader, size: number): Uint8Array {
  const content = readIntegerBytes(reader);
  if ((content[0] ?? 0) >= 0x80) reader.fail('a negative part of a signature');
  const digits = content[0] === 0 ? content.subarray(1) : content;
  if (digits.length > size) reader.fail(`a part of a signature of more than ${size} bytes`);
  const padded = new Uint8Array(size);
  padded.set(digits, size - digits.length);
  return padded;
}
