import { InternalError } from '../../lib/errors.ts';

const { subtle } = globalThis.crypto;

export type WebCryptoKey = Awaited<ReturnType<typeof subtle.deriveKey>>;

export interface KeyPair {
  readonly publicKey: WebCryptoKey;
  readonly privateKey: WebCryptoKey;
}

type Usages = readonly ('deriveBits' | 'sign' | 'verify')[];

/** Its private half cannot be read out of WebCrypto. */
export async function generateKeyPair(name: 'X25519' | 'Ed25519', usages: Usages): Promise<KeyPair> {
  const keys = await subtle.generateKey({ name }, false, usages);
  if (!(keys instanceof CryptoKey)) return keys;
  throw new InternalError(`WebCrypto gave one key of ${name} where it gives two`);
}

/** Raw. */
export async function exportPublicKey({ publicKey }: KeyPair): Promise<Uint8Array> {
  return new Uint8Array(await subtle.exportKey('raw', publicKey));
}

/** X25519, raw. Rejects for a key of another length. */
export function importPublicKey(raw: Uint8Array): Promise<WebCryptoKey> {
  return subtle.importKey('raw', new Uint8Array(raw), 'X25519', true, []);
}
