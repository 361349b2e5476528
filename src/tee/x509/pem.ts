import { TeeError } from '../errors.ts';
import { MAX_CERTIFICATES_PEM_LENGTH, MAX_PEM_BLOCKS, MAX_REVOCATION_LISTS_PEM_LENGTH } from './constants.ts';

export type PemLabel = 'CERTIFICATE' | 'X509 CRL';

const LIMITS: Readonly<Record<PemLabel, number>> = {
  CERTIFICATE: MAX_CERTIFICATES_PEM_LENGTH,
  'X509 CRL': MAX_REVOCATION_LISTS_PEM_LENGTH,
};

const LINE = /^[A-Za-z0-9+/]{1,76}={0,2}$/u;

/**
 * The blocks of a PEM text (RFC 7468), strictly: nothing but blocks of this label and empty lines, and base64 in the one
 * form that its bytes have. An empty text gives no block.
 * @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE
 */
export function splitPem(text: string, label: PemLabel): Uint8Array[] {
  const what = `a PEM text of ${label === 'CERTIFICATE' ? 'certificates' : 'revocation lists'}`;
  if (text.length > LIMITS[label]) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes: text.length, limitBytes: LIMITS[label] });
  }
  const fail = (offset: number, reason: string): never => {
    throw new TeeError({ code: 'TEE_MALFORMED', what, offset, reason });
  };
  const blocks: Uint8Array[] = [];
  let lines: string[] | undefined;
  let offset = 0;
  for (const line of text.split('\n')) {
    const content = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (lines === undefined) {
      if (content === `-----BEGIN ${label}-----`) lines = [];
      else if (content !== '') fail(offset, `only blocks of ${label} and empty lines are expected`);
    } else if (content === `-----END ${label}-----`) {
      blocks.push(decodeBase64(lines.join('')) ?? fail(offset, 'the base64 before this line is not in canonical form'));
      if (blocks.length > MAX_PEM_BLOCKS) fail(offset, `more than ${MAX_PEM_BLOCKS} blocks`);
      lines = undefined;
    } else if (LINE.test(content)) lines.push(content);
    else fail(offset, 'not a line of base64');
    offset += line.length + 1;
  }
  if (lines !== undefined) fail(text.length, 'the last block has no end');
  return blocks;
}

/** Undefined if it is not the one base64 form of some bytes. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length === 0 || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/u.test(text)) return undefined;
  const binary = atob(text);
  return btoa(binary) === text ? Uint8Array.from(binary, (character) => character.charCodeAt(0)) : undefined;
}
