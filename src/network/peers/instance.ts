import { concatBytes, encodeHex, encodeU64 } from '../../lib/bytes.ts';
import type { Random } from '../../lib/random.ts';

/** 16 bytes: the start's Unix time in ms (48 bits, big-endian), then 10 random bytes. */
export function createInstance(startedAtMs: number, random: Random): Uint8Array {
  return concatBytes(encodeU64(startedAtMs).subarray(2), random.bytes(10));
}

/** Negative if `a` started before `b`; equal starts are told apart by their random part, the same on both sides. */
export function compareInstances(a: Uint8Array, b: Uint8Array): number {
  const left = encodeHex(a);
  const right = encodeHex(b);
  return left < right ? -1 : left > right ? 1 : 0;
}
