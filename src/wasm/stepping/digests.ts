import { hash } from 'node:crypto';
import { DIGEST_BYTES } from './constants.ts';

/** Writes SHA-256 of `data` into `target`. A string of one-byte characters crosses from native code fastest. */
export function hashInto(target: Uint8Array, offset: number, data: Uint8Array): void {
  const digest = hash('sha256', data, 'binary');
  for (let index = 0; index < DIGEST_BYTES; index++) target[offset + index] = digest.charCodeAt(index);
}

/** A list of digests that only grows, one after the other in one array. */
export class DigestList {
  private bytes = new Uint8Array(16 * DIGEST_BYTES);
  private count = 0;

  get length(): number {
    return this.count;
  }

  /** All of them; valid until the list grows. */
  get view(): Uint8Array {
    return this.bytes.subarray(0, this.count * DIGEST_BYTES);
  }

  at(index: number): Uint8Array {
    return this.bytes.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
  }

  /** Whether digests 2a and 2a + 1 are digests 2b and 2b + 1. */
  arePairsEqual(a: number, b: number): boolean {
    const pair = 2 * DIGEST_BYTES;
    for (let index = 0; index < pair; index++) {
      if (this.bytes[a * pair + index] !== this.bytes[b * pair + index]) return false;
    }
    return true;
  }

  /** Room for digests up to `count`, those that are new filled with `filler`. */
  grow(count: number, filler: Uint8Array): void {
    if (count * DIGEST_BYTES > this.bytes.length) {
      const grown = new Uint8Array(Math.max(count * DIGEST_BYTES, this.bytes.length * 2));
      grown.set(this.view);
      this.bytes = grown;
    }
    for (; this.count < count; this.count++) this.bytes.set(filler, this.count * DIGEST_BYTES);
  }

  set(index: number, digest: Uint8Array): void {
    this.bytes.set(digest, index * DIGEST_BYTES);
  }

  hashAt(index: number, data: Uint8Array): void {
    hashInto(this.bytes, index * DIGEST_BYTES, data);
  }
}
