import { ed25519 } from '@noble/curves/ed25519.js';
import { encodeBase58, SolanaAddress } from '../../domain/chain.ts';
import type { ChainSigner } from '../interface.ts';

export interface KeypairSignerOptions {
  /** 32 bytes, secret. */
  readonly seed: Uint8Array;
  /** Where it comes from, in words: `derived from the identity`, or the path of a file. */
  readonly description: string;
}

/** Signs with a key in this process's memory. */
export class KeypairSigner implements ChainSigner {
  readonly address: SolanaAddress;
  readonly description: string;
  readonly #seed: Uint8Array;

  constructor(options: KeypairSignerOptions) {
    this.#seed = options.seed.slice();
    this.description = options.description;
    this.address = SolanaAddress(encodeBase58(ed25519.getPublicKey(this.#seed)));
  }

  async sign(message: Uint8Array): Promise<Uint8Array> {
    return ed25519.sign(message, this.#seed);
  }
}
