/** HKDF-SHA-256 (RFC 5869) of the content key, the salt empty. What is derived cannot be read out of WebCrypto. */
import { InternalError } from '../../lib/errors.ts';
import { KEY_BYTES } from './constants.ts';

const { subtle } = globalThis.crypto;
export type SecretKey = Awaited<ReturnType<typeof subtle.deriveKey>>;

/** For AES-256-GCM. @throws RangeError unless the content key has 32 bytes */
export async function deriveCipherKey(contentKey: Uint8Array, info: Uint8Array): Promise<SecretKey> {
  const cipher = { name: 'AES-GCM', length: 8 * KEY_BYTES };
  const base = await importContentKey(contentKey);
  return subtle.deriveKey(computeDerivation(info), base, cipher, false, ['encrypt', 'decrypt']);
}

/** For HMAC-SHA-256. @throws RangeError unless the content key has 32 bytes */
export async function deriveMacKey(contentKey: Uint8Array, info: Uint8Array): Promise<SecretKey> {
  const mac = { name: 'HMAC', hash: 'SHA-256', length: 8 * KEY_BYTES };
  const base = await importContentKey(contentKey);
  return subtle.deriveKey(computeDerivation(info), base, mac, false, ['sign', 'verify']);
}

function computeDerivation(info: Uint8Array) {
  return { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: new Uint8Array(info) };
}

async function importContentKey(contentKey: Uint8Array): Promise<SecretKey> {
  if (contentKey.length !== KEY_BYTES) throw new RangeError(`a content key has ${KEY_BYTES} bytes`);
  // Sealed with it, anybody could open it.
  if (contentKey.every((byte) => byte === 0)) throw new InternalError('a content key is used after it was erased');
  const copy = new Uint8Array(contentKey);
  try {
    return await subtle.importKey('raw', copy, 'HKDF', false, ['deriveKey']);
  } finally {
    copy.fill(0);
  }
}
