import { encodeUtf8 } from '../lib/bytes.ts';

/** Order of two strings by their bytes in UTF-8; JavaScript's own is by UTF-16 and differs above U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  const left = encodeUtf8(a);
  const right = encodeUtf8(b);
  const shared = Math.min(left.length, right.length);
  for (let index = 0; index < shared; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
