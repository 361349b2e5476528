import { DIGEST_BYTES } from './constants.ts';
import { getZeroDigest } from './page-digests.ts';

/** Where a piece is found first: the place of its digest among pages, then output. */
export interface PieceIndex {
  /** SHA-256 of each distinct piece but the page of zeros, in order of first appearance (docs/stepping.md section 6.1). */
  readonly digests: Uint8Array;
  /** For each distinct piece where it stands first. */
  readonly firsts: readonly number[];
  /** For each page, then each piece of output, its place among the distinct pieces; -1 for the page of zeros. */
  readonly places: Int32Array;
}

export function indexPieces(pages: Uint8Array, output: Uint8Array): PieceIndex {
  const count = (pages.length + output.length) / DIGEST_BYTES;
  const places = new Int32Array(count);
  const digests = new Uint8Array(count * DIGEST_BYTES);
  const firsts: number[] = [];
  const known = new Map<string, number>([[Buffer.from(getZeroDigest()).toString('latin1'), -1]]);
  let position = 0;
  for (const list of [pages, output]) {
    const bytes = Buffer.from(list.buffer, list.byteOffset, list.byteLength);
    for (let offset = 0; offset < bytes.length; offset += DIGEST_BYTES, position++) {
      const key = bytes.toString('latin1', offset, offset + DIGEST_BYTES);
      let place = known.get(key);
      if (place === undefined) {
        place = firsts.push(position) - 1;
        known.set(key, place);
        digests.set(bytes.subarray(offset, offset + DIGEST_BYTES), place * DIGEST_BYTES);
      }
      places[position] = place;
    }
  }
  return { digests: digests.subarray(0, firsts.length * DIGEST_BYTES), firsts, places };
}
