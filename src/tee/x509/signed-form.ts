import { TeeError } from '../errors.ts';
import type { SignatureScheme } from '../interface.ts';
import { TAG } from './constants.ts';
import { DerReader, readBitString } from './der.ts';
import { decodeSignature, parseScheme } from './signature.ts';

export interface SignedForm {
  readonly der: Uint8Array;
  /** What is signed. */
  readonly tbs: Uint8Array;
  readonly scheme: SignatureScheme | null;
  readonly signature: Uint8Array;
}

/**
 * What is signed, algorithm and signature: the outer form of certificates and of revocation lists (RFC 5280, sections 4.1
 * and 5.1). @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE
 */
export function openSignedForm(what: string, der: Uint8Array, limitBytes: number) {
  if (der.length > limitBytes) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes: der.length, limitBytes });
  }
  const file = new DerReader(what, der);
  const outer = file.enter(TAG.sequence);
  file.assertEnd();
  const tbs = outer.read(TAG.sequence);
  const algorithm = outer.read(TAG.sequence);
  const bits = readBitString(outer);
  outer.assertEnd();
  const scheme = parseScheme(algorithm.whole);
  const signature = decodeSignature(`${what}'s signature`, scheme, bits);
  const form: SignedForm = { der, tbs: tbs.whole, scheme, signature };
  return { form, body: outer.open(tbs), algorithm: algorithm.whole };
}
