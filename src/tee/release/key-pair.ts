import { InternalError } from '../../lib/errors.ts';

const { subtle } = globalThis.crypto;

export type SecretKey = Awaited<ReturnType<typeof subtle.deriveKey>>;

export interface KeyPair {
  readonly publicKey: SecretKey;
  readonly privateKey: SecretKey;
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
