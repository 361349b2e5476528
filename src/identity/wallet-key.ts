/**
 * The Solana wallet of an identity:
 *   seed = HKDF-SHA256(IKM = identity seed, salt = empty, info = "fogproof/solana-wallet@1", L = 32)   (RFC 5869)
 * and its key pair is Ed25519 of that seed (RFC 8032 section 5.1.5), as the Solana CLI makes one. It is not the identity
 * key: what a wallet signs is chosen by others, and the wallet may be exported without giving the identity away.
 */
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { encodeUtf8 } from '../lib/bytes.ts';
import { SEED_BYTES, WALLET_KEY_INFO } from './constants.ts';

export function deriveWalletSeed(identitySeed: Uint8Array): Uint8Array {
  return hkdf(sha256, identitySeed, undefined, encodeUtf8(WALLET_KEY_INFO), SEED_BYTES);
}
