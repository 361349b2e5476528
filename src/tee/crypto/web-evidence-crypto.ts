import type { DigestAlgorithm, EvidenceCrypto, SignatureScheme, SignedParts } from '../interface.ts';
import { MIN_RSA_BITS, type SchemeParts, SIGNATURE_SCHEMES } from './signature-schemes.ts';

type Subtle = typeof globalThis.crypto.subtle;

/** Hashes and checks signatures with WebCrypto alone, as a browser has it. */
export class WebEvidenceCrypto implements EvidenceCrypto {
  readonly #subtle: Subtle;

  constructor(modules: { readonly subtle: Subtle }) {
    this.#subtle = modules.subtle;
  }

  async digest(algorithm: DigestAlgorithm, bytes: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await this.#subtle.digest(algorithm, new Uint8Array(bytes)));
  }

  async verify(scheme: SignatureScheme, { publicKey, message, signature }: SignedParts): Promise<boolean> {
    const parts = SIGNATURE_SCHEMES[scheme];
    try {
      const key = await this.#subtle.importKey('spki', new Uint8Array(publicKey), computeKeyAlgorithm(parts), false, [
        'verify',
      ]);
      if (parts.kind === 'rsa' && !isLongEnough(key.algorithm)) return false;
      return await this.#subtle.verify(
        computeAlgorithm(parts),
        key,
        new Uint8Array(signature),
        new Uint8Array(message),
      );
    } catch {
      // A key of another kind or curve, or bytes that are none, are refused by importKey.
      return false;
    }
  }
}

function computeKeyAlgorithm(parts: SchemeParts) {
  if (parts.kind === 'ed25519') return { name: 'Ed25519' };
  if (parts.kind === 'ecdsa') return { name: 'ECDSA', namedCurve: parts.curve };
  return { name: parts.padding === 'pss' ? 'RSA-PSS' : 'RSASSA-PKCS1-v1_5', hash: parts.hash };
}

function computeAlgorithm(parts: SchemeParts) {
  if (parts.kind === 'ed25519') return { name: 'Ed25519' };
  if (parts.kind === 'ecdsa') return { name: 'ECDSA', hash: parts.hash };
  if (parts.padding === 'pss') return { name: 'RSA-PSS', saltLength: parts.saltBytes };
  return { name: 'RSASSA-PKCS1-v1_5' };
}

function isLongEnough(algorithm: object): boolean {
  return 'modulusLength' in algorithm && Number(algorithm.modulusLength) >= MIN_RSA_BITS;
}
