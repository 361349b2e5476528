import { webcrypto } from 'node:crypto';
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../../domain/snapshot.ts';
import { InternalError } from '../../lib/errors.ts';
import { DIGEST_BYTES, placePieces } from '../../proofs/state-pieces.ts';
import { computeStateRoot } from '../../proofs/state-root.ts';
import type { InputFile } from '../interface.ts';
import { PIECES_AT_ONCE } from './constants.ts';

/** Files as the state of a program (docs/stepping.md section 7). */
export interface FilesState {
  readonly state: Extract<SnapshotState, { kind: 'files' }>;
  readonly stateRoot: Uint8Array;
  /** As in `StateCheckpoint.pieces`. */
  readonly pieces: Uint8Array;
  /** One of `pieces`, by its place. */
  readonly readPiece: (place: number) => Uint8Array;
}

/** Files may be large and the event loop is everybody's: they are hashed by threads. */
export async function describeFiles(files: readonly InputFile[]): Promise<FilesState> {
  const views = files.map(({ bytes }) => cut(bytes));
  const digests = await hashAll(views.flat());
  let place = 0;
  const listed = files.map(({ path, bytes }, index): FilesState['state']['files'][number] => {
    const count = views[index]?.length ?? 0;
    const pieces = digests.slice(place * DIGEST_BYTES, (place + count) * DIGEST_BYTES);
    place += count;
    return { path, sizeBytes: bytes.length, pieces };
  });
  const state = { kind: 'files' as const, files: listed };
  const { pieces, places } = placePieces(state);
  const all = views.flat();
  // Each is given once at most, but there may be many.
  const firsts = new Map<number, number>();
  places.forEach((place, position) => {
    if (!firsts.has(place)) firsts.set(place, position);
  });
  return {
    state,
    stateRoot: computeStateRoot(state),
    pieces,
    readPiece: (place) => {
      const piece = all[firsts.get(place) ?? -1];
      if (piece === undefined) throw new InternalError(`a state of files has no piece ${place}`);
      return piece;
    },
  };
}

async function hashAll(pieces: readonly Uint8Array[]): Promise<Uint8Array> {
  const digests = new Uint8Array(pieces.length * DIGEST_BYTES);
  let next = 0;
  const hashSome = async (): Promise<void> => {
    for (let place = next++; place < pieces.length; place = next++) {
      const piece = pieces[place];
      if (piece === undefined) return;
      digests.set(new Uint8Array(await webcrypto.subtle.digest('SHA-256', piece.slice())), place * DIGEST_BYTES);
    }
  };
  await Promise.all(Array.from({ length: PIECES_AT_ONCE }, hashSome));
  return digests;
}

function cut(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.ceil(bytes.length / SNAPSHOT_PIECE_BYTES);
  return Array.from({ length: count }, (_, place) =>
    bytes.subarray(place * SNAPSHOT_PIECE_BYTES, (place + 1) * SNAPSHOT_PIECE_BYTES),
  );
}
