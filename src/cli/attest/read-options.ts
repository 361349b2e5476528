import { UsageError } from '../../lib/errors.ts';

const HEX = /^(?:[0-9A-Fa-f]{2})+$/u;
/** A time without its zone would mean another one on another machine. */
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/u;

/** @throws UsageError */
export function readHex(
  text: string,
  { flag, minBytes, maxBytes }: { readonly flag: string; readonly minBytes: number; readonly maxBytes: number },
): Uint8Array {
  const bytes = text.length / 2;
  if (HEX.test(text) && bytes >= minBytes && bytes <= maxBytes) {
    return Uint8Array.from({ length: bytes }, (_, index) => Number.parseInt(text.slice(2 * index, 2 * index + 2), 16));
  }
  const size = minBytes === maxBytes ? `${minBytes}` : `${minBytes} to ${maxBytes}`;
  throw new UsageError(`${flag}: not ${size} bytes in hex`, 'Write two digits for each byte, without 0x.');
}

/** Unix ms. @throws UsageError */
export function readTime(flag: string, text: string): number {
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(timeMs)) return timeMs;
  throw new UsageError(`${flag}: '${text}' is no time`, 'Write it such as 2026-11-22 or 2026-11-22T06:30:00Z.');
}
