import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import type { WireTransaction } from '../svm/wire-transaction.ts';

const KEY_CACHE = 1_024;
const keys = new Map<string, KeyObject | null>();

/** True if everybody signed who has to (Ed25519, RFC 8032). */
export function areSignaturesValid({ signatures, message }: WireTransaction): boolean {
  return signatures.every((signature, index) => {
    const key = importKey(message.accountKeys[index] ?? '');
    return key !== null && verify(null, message.bytes, key, signature);
  });
}

/** Null for an address that is no public key. */
function importKey(address: string): KeyObject | null {
  const known = keys.get(address);
  if (known !== undefined) return known;
  if (keys.size >= KEY_CACHE) keys.clear();
  const key = createKey(address);
  keys.set(address, key);
  return key;
}

function createKey(address: string): KeyObject | null {
  try {
    const x = Buffer.from(base58btc.baseDecode(address)).toString('base64url');
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  } catch {
    return null;
  }
}
