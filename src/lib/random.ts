import { randomBytes } from 'node:crypto';

/** Randomness, injected so that simulations repeat from a seed. */
export interface Random {
  bytes(length: number): Uint8Array;
}

export class SystemRandom implements Random {
  bytes(length: number): Uint8Array {
    return new Uint8Array(randomBytes(length));
  }
}
