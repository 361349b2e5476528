/** Which pieces a state consists of: docs/stepping.md section 6.1. */
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../domain/snapshot.ts';
import { sha256 } from '../lib/cid.ts';
import { ProofsError } from './errors.ts';

export const DIGEST_BYTES = 32;
const HALF_WORDS = DIGEST_BYTES / 2;

/** SHA-256 of 65,536 zeros: never stored nor moved. */
export const ZERO_PAGE_DIGEST: Uint8Array = sha256(new Uint8Array(SNAPSHOT_PIECE_BYTES));
/** The place of the page of zeros, which is not among the pieces. */
export const ZERO_PIECE = -1;

export interface PiecePlaces {
  /** SHA-256 of each distinct piece but the page of zeros, in order of first appearance, one after the other. */
  readonly pieces: Uint8Array;
  /**
   * For each page, then each piece of output (or for each piece of each file), its place in `pieces`, or ZERO_PIECE.
   */
  readonly places: Int32Array;
}

/** Lists of digests of a state in order: pages and output, or those of each file. */
export function listDigestLists(state: SnapshotState): readonly Uint8Array[] {
  return state.kind === 'memory' ? [state.pages, state.output] : state.files.map((file) => file.pieces);
}

/** SHA-256 of each distinct piece but the page of zeros, in order of first appearance. @throws ProofsError PROOFS_BAD_STATE */
export function listPieces(state: SnapshotState): Uint8Array {
  return placePieces(state).pieces;
}

/** @throws ProofsError PROOFS_BAD_STATE where a list is not made of whole digests */
export function placePieces(state: SnapshotState): PiecePlaces {
  const lists = listDigestLists(state);
  const total = lists.reduce((sum, list) => sum + countDigests(list), 0);
  const places = new Int32Array(total);
  const pieces = new Uint8Array(total * DIGEST_BYTES);
  const placeByKey = new Map<string, number>([[keysOf(ZERO_PAGE_DIGEST)(0), ZERO_PIECE]]);
  let count = 0;
  let position = 0;
  for (const list of lists) {
    const keyAt = keysOf(list);
    for (let offset = 0; offset < list.length; offset += DIGEST_BYTES) {
      const key = keyAt(offset);
      let place = placeByKey.get(key);
      if (place === undefined) {
        place = count++;
        placeByKey.set(key, place);
        pieces.set(list.subarray(offset, offset + DIGEST_BYTES), place * DIGEST_BYTES);
      }
      places[position++] = place;
    }
  }
  return { pieces: pieces.slice(0, count * DIGEST_BYTES), places };
}

/** Of a state, what it takes to name a piece: the lengths of its lists in bytes. */
export type StateLayout =
  | { readonly kind: 'memory'; readonly pages: { readonly length: number } }
  | {
      readonly kind: 'files';
      readonly files: readonly { readonly path: string; readonly pieces: { readonly length: number } }[];
    };

/** Names the piece at a position of `places` for people: `page 7`. */
export function locatePiece(state: StateLayout, position: number): string {
  if (state.kind === 'memory') {
    const pages = state.pages.length / DIGEST_BYTES;
    return position < pages ? `page ${position}` : `piece ${position - pages} of the output`;
  }
  let left = position;
  for (const { path, pieces } of state.files) {
    const count = pieces.length / DIGEST_BYTES;
    if (left < count) return `piece ${left} of ${path}`;
    left -= count;
  }
  return `piece ${position}`;
}

/** @throws ProofsError PROOFS_BAD_STATE unless the list is made of whole digests */
export function countDigests(list: Uint8Array): number {
  if (list.length % DIGEST_BYTES !== 0) {
    throw new ProofsError({ code: 'PROOFS_BAD_STATE', reason: `a list of digests has ${list.length} bytes` });
  }
  return list.length / DIGEST_BYTES;
}

/** Gives the digest at an offset as a string of 16 characters: hexadecimal took three times as long for a large memory. */
function keysOf(digests: Uint8Array): (offset: number) => string {
  // A copy, since a view of 16-bit words has to begin at an even address.
  const words = new Uint16Array(digests.slice().buffer);
  return (offset) => String.fromCharCode(...words.subarray(offset / 2, offset / 2 + HALF_WORDS));
}
