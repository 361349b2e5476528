import { createHash } from 'node:crypto';
import type { DigestAlgorithm, EvidenceCrypto, SignatureScheme, SignedParts } from '../../src/tee/interface.ts';

const MAX_ENTRIES = 10_000;

/** Remembers signatures that were checked: most of what is judged is the same for every change. */
export class MemoCrypto implements EvidenceCrypto {
  readonly #crypto: EvidenceCrypto;
  readonly #known = new Map<string, boolean>();

  constructor(modules: { readonly crypto: EvidenceCrypto }) {
    this.#crypto = modules.crypto;
  }

  digest(algorithm: DigestAlgorithm, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#crypto.digest(algorithm, bytes);
  }

  async verify(scheme: SignatureScheme, parts: SignedParts): Promise<boolean> {
    const hash = createHash('sha256').update(scheme);
    for (const part of [parts.publicKey, parts.message, parts.signature]) hash.update(`${part.length}:`).update(part);
    const key = hash.digest('base64');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const holds = await this.#crypto.verify(scheme, parts);
    if (this.#known.size >= MAX_ENTRIES) this.#known.clear();
    this.#known.set(key, holds);
    return holds;
  }
}
