import { sha256 } from '@noble/hashes/sha2.js';
import { encodeUtf8 } from '../../lib/bytes.ts';
import type { Random } from '../../lib/random.ts';

/**
 * Random that repeats from a seed: xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021), seeded by SHA-256. For simulations only: whoever sees a few outputs knows the rest.
 */
export class SeededRandom implements Random {
  readonly #seed: string;
  readonly #state: Uint32Array;

  constructor(seed: string) {
    this.#seed = seed;
    const digest = sha256(encodeUtf8(`fogproof/sim@1\0${seed}`));
    const view = new DataView(digest.buffer, digest.byteOffset);
    this.#state = Uint32Array.from([0, 4, 8, 12], (offset) => view.getUint32(offset));
  }

  /** A stream of its own: what one part draws does not shift what another one does. */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${label}`);
  }

  nextUint32(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const nextC = c ^ a;
    const nextD = d ^ b;
    state[1] = b ^ nextC;
    state[0] = a ^ nextD;
    state[2] = nextC ^ (b << 9);
    state[3] = rotateLeft(nextD, 11);
    return result;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index += 4) {
      const word = this.nextUint32();
      for (let byte = 0; byte < 4 && index + byte < length; byte += 1) bytes[index + byte] = word >>> (8 * byte);
    }
    return bytes;
  }

  /** In [0, 1), 53 bits. */
  uniform(): number {
    return ((this.nextUint32() >>> 5) * 2 ** 26 + (this.nextUint32() >>> 6)) / 2 ** 53;
  }

  /** A whole number from 0 up to `bound`, exclusive, which is at most 2^32. */
  below(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const word = this.nextUint32();
      if (word < limit) return word % bound;
    }
  }

  isBelow(probability: number): boolean {
    return this.uniform() < probability;
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }

  /** Fisher and Yates, in place. */
  shuffle<Item>(items: Item[]): Item[] {
    for (let index = items.length - 1; index > 0; index -= 1) {
      const other = this.below(index + 1);
      const held = items[index] as Item;
      items[index] = items[other] as Item;
      items[other] = held;
    }
    return items;
  }

  /** `count` different ones, in random order. */
  sample<Item>(items: readonly Item[], count: number): Item[] {
    return this.shuffle([...items]).slice(0, count);
  }
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
