/**
 * The ECVRF key of an identity (RFC 9381 section 5.5, ECVRF-EDWARDS25519-SHA512):
 *   SK = HKDF-SHA256(IKM = identity seed, salt = empty, info = "fogproof/vrf@1", L = 32)   (RFC 5869)
 *   x  = the secret scalar of SK as in RFC 8032 section 5.1.5,  Y = x·B.
 * It is not the identity key: ECVRF's nonce equals Ed25519's for the same key and message, and would reveal it.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { encodeUtf8 } from '../lib/bytes.ts';
import { VRF_KEY_INFO } from './constants.ts';

export interface VrfKeyPair {
  /** 32 bytes, before expansion with SHA-512. */
  readonly secretKey: Uint8Array;
  /** Encoded point Y, 32 bytes. */
  readonly publicKey: Uint8Array;
}

export function deriveVrfKey(identitySeed: Uint8Array): VrfKeyPair {
  const secretKey = hkdf(sha256, identitySeed, undefined, encodeUtf8(VRF_KEY_INFO), 32);
  return { secretKey, publicKey: computeVrfPublicKey(secretKey) };
}

/** Y = x·B of a VRF secret key (32 bytes). */
export function computeVrfPublicKey(secretKey: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(secretKey);
}
