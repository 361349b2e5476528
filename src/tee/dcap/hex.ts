import { TeeError } from '../errors.ts';

/** @throws TeeError TEE_MALFORMED */
export function decodeHex(what: string, text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9A-Fa-f]*$/u.test(text)) {
    throw new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason: 'it is not hex' });
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}
