import { createPublicKey, verify } from 'node:crypto';

/** DER prefix of an Ed25519 public key (RFC 8410 section 4): its 32 bytes follow. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Ed25519 (RFC 8032) with Node's own code: a page of history has a thousand signatures (0.2 ms each, not 4). */
export function isSignatureValid(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
