import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../../domain/snapshot.ts';
import { InternalError } from '../../lib/errors.ts';
import { DIGEST_BYTES, placePieces } from '../../proofs/state-pieces.ts';
import { computeStateRoot } from '../../proofs/state-root.ts';
import type { InputFile } from '../interface.ts';
import { PIECES_PER_TURN } from './constants.ts';

/** Files as the state of a program (docs/stepping.md section 7). */
export interface FilesState {
  readonly state: Extract<SnapshotState, { kind: 'files' }>;
  readonly stateRoot: Uint8Array;
  /** As in `StateCheckpoint.pieces`. */
  readonly pieces: Uint8Array;
  /** One of `pieces`, by its place. */
  readonly readPiece: (place: number) => Uint8Array;
}

/** Hashes the files a part at a time, since they may be large and the event loop is everybody's. */
export async function describeFiles(files: readonly InputFile[]): Promise<FilesState> {
  const views = files.map(({ bytes }) => cut(bytes));
  const listed: FilesState['state']['files'] = [];
  let hashed = 0;
  for (const [index, { path, bytes }] of files.entries()) {
    const pieces = views[index] ?? [];
    const digests = new Uint8Array(pieces.length * DIGEST_BYTES);
    for (const [place, piece] of pieces.entries()) {
      digests.set(hash('sha256', piece, 'buffer'), place * DIGEST_BYTES);
      hashed += 1;
      if (hashed % PIECES_PER_TURN === 0) await nextTurn();
    }
    listed.push({ path, sizeBytes: bytes.length, pieces: digests });
  }
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

function cut(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.ceil(bytes.length / SNAPSHOT_PIECE_BYTES);
  return Array.from({ length: count }, (_, place) =>
    bytes.subarray(place * SNAPSHOT_PIECE_BYTES, (place + 1) * SNAPSHOT_PIECE_BYTES),
  );
}
