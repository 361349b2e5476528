import { x25519 } from '@noble/curves/ed25519.js';
import { concatBytes } from '../../src/lib/bytes.ts';
import type { KeyPair } from '../../src/tee/release/key-pair.ts';

/** PrivateKeyInfo up to the 32 bytes of the key (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Keys that a test knows, where the daemon's are made by WebCrypto and never leave it. */
export async function importX25519(privateKey: Uint8Array): Promise<KeyPair> {
  const { subtle } = globalThis.crypto;
  const encoded = new Uint8Array(concatBytes(PKCS8_PREFIX, privateKey));
  const publicKey = new Uint8Array(x25519.getPublicKey(privateKey));
  return {
    privateKey: await subtle.importKey('pkcs8', encoded, 'X25519', false, ['deriveBits']),
    publicKey: await subtle.importKey('raw', publicKey, 'X25519', true, []),
  };
}
