import { concatBytes } from '../../lib/bytes.ts';
import type { SignatureScheme } from '../interface.ts';

export type SchemeParts =
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'ecdsa'; readonly curve: 'P-256' | 'P-384'; readonly hash: 'SHA-256' | 'SHA-384' }
  | {
      readonly kind: 'rsa';
      readonly padding: 'pss' | 'pkcs1';
      readonly hash: 'SHA-256' | 'SHA-384';
      readonly saltBytes: number;
    };

export const SIGNATURE_SCHEMES = {
  ed25519: { kind: 'ed25519' },
  'ecdsa-p256-sha256': { kind: 'ecdsa', curve: 'P-256', hash: 'SHA-256' },
  'ecdsa-p384-sha384': { kind: 'ecdsa', curve: 'P-384', hash: 'SHA-384' },
  'rsa-pss-sha256': { kind: 'rsa', padding: 'pss', hash: 'SHA-256', saltBytes: 32 },
  'rsa-pss-sha384': { kind: 'rsa', padding: 'pss', hash: 'SHA-384', saltBytes: 48 },
  'rsa-pkcs1-sha256': { kind: 'rsa', padding: 'pkcs1', hash: 'SHA-256', saltBytes: 0 },
  'rsa-pkcs1-sha384': { kind: 'rsa', padding: 'pkcs1', hash: 'SHA-384', saltBytes: 0 },
} as const satisfies Record<SignatureScheme, SchemeParts>;

/** Bits of the smallest RSA modulus that is believed (NIST SP 800-57 part 1, table 2). */
export const MIN_RSA_BITS = 2048;

/** Of SubjectPublicKeyInfo, before the 32 bytes of the key (RFC 8410, section 10.1). */
const ED25519_PREFIX = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00);

/** SubjectPublicKeyInfo of a raw key of 32 bytes; of another length it verifies nothing. */
export function encodeEd25519PublicKey(raw: Uint8Array): Uint8Array {
  return concatBytes(ED25519_PREFIX, raw);
}
