import type { SignatureScheme } from '../interface.ts';

export type SchemeParts =
  | { readonly kind: 'ecdsa'; readonly curve: 'P-256' | 'P-384'; readonly hash: 'SHA-256' | 'SHA-384' }
  | {
      readonly kind: 'rsa';
      readonly padding: 'pss' | 'pkcs1';
      readonly hash: 'SHA-256' | 'SHA-384';
      readonly saltBytes: number;
    };

export const SIGNATURE_SCHEMES = {
  'ecdsa-p256-sha256': { kind: 'ecdsa', curve: 'P-256', hash: 'SHA-256' },
  'ecdsa-p384-sha384': { kind: 'ecdsa', curve: 'P-384', hash: 'SHA-384' },
  'rsa-pss-sha256': { kind: 'rsa', padding: 'pss', hash: 'SHA-256', saltBytes: 32 },
  'rsa-pss-sha384': { kind: 'rsa', padding: 'pss', hash: 'SHA-384', saltBytes: 48 },
  'rsa-pkcs1-sha256': { kind: 'rsa', padding: 'pkcs1', hash: 'SHA-256', saltBytes: 0 },
  'rsa-pkcs1-sha384': { kind: 'rsa', padding: 'pkcs1', hash: 'SHA-384', saltBytes: 0 },
} as const satisfies Record<SignatureScheme, SchemeParts>;

/** Bits of the smallest RSA modulus that is believed (NIST SP 800-57 part 1, table 2). */
export const MIN_RSA_BITS = 2048;
