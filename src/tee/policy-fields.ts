import { z } from 'zod';

/** Entries of an allow-list. */
export const MAX_LIST_ENTRIES = 256;

/** Lower-case hex of exactly so many bytes; upper case is accepted and made lower. */
export function hexBytes(count: number) {
  return z
    .string()
    .regex(new RegExp(`^[0-9A-Fa-f]{${2 * count}}$`, 'u'), `expected ${count} bytes in hex (${2 * count} digits)`)
    .transform((text) => text.toLowerCase());
}
