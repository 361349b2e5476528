/**
 * The key that wraps the keys of private blobs on this node's disk:
 *   HKDF-SHA256(IKM = identity seed, salt = empty, info = "fogproof/blob-store@1", L = 32)   (RFC 5869)
 * Whoever restores the identity can read them again; whoever has the disk alone cannot.
 */
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { encodeUtf8 } from '../lib/bytes.ts';
import { STORE_KEY_BYTES, STORE_KEY_INFO } from './constants.ts';

export function deriveStoreKey(identitySeed: Uint8Array): Uint8Array {
  return hkdf(sha256, identitySeed, undefined, encodeUtf8(STORE_KEY_INFO), STORE_KEY_BYTES);
}
