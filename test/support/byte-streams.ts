import { concatBytes } from '../../src/lib/bytes.ts';

/** The bytes in parts of so many; of nothing there is no part. */
export async function* streamBytes(bytes: Uint8Array, partBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += partBytes) yield bytes.subarray(offset, offset + partBytes);
}

export async function collectStream(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return concatBytes(...parts);
}

/** Bytes that are not all alike, quickly. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed ^ 0x9e3779b9) >>> 0;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
