import { hash, webcrypto } from 'node:crypto';
import { SYNC_HASH_BYTES } from './constants.ts';

/** SHA-256 in hex, off the event loop where it would take long. */
export async function hashBytes(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= SYNC_HASH_BYTES) return hash('sha256', bytes, 'hex');
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
