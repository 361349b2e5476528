import { concatBytes, encodeUtf8 } from '../lib/bytes.ts';

const SEPARATOR = Uint8Array.of(0);

/** What is hashed or derived for one purpose: its name, a zero byte, and what it is about. */
export function encodeLabelled(name: string, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(concatBytes(encodeUtf8(name), SEPARATOR, ...parts));
}
