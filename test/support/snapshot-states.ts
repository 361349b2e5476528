import type { SnapshotEntry } from '../../src/blob/interface.ts';
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../../src/domain/snapshot.ts';
import { concatBytes } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { encodeHostState } from '../../src/proofs/host-state.ts';
import { DIGEST_BYTES, listPieces } from '../../src/proofs/state-pieces.ts';
import { computeStateRoot } from '../../src/proofs/state-root.ts';
import type { StateCheckpoint } from '../../src/sandbox/interface.ts';
import type { SnapshotMaker } from '../../src/scheduler/snapshots/snapshot-maker.ts';

const METRICS_HASH = new Uint8Array(32).fill(1);

/** The memory and output of a program after a step, and its checkpoint there. */
export interface ProgramState {
  readonly checkpoint: StateCheckpoint;
  /** Distinct pieces without the page of zeros, in the order of the checkpoint's. */
  readonly pieces: readonly Uint8Array[];
}

export function memoryStateOf(
  step: number,
  pages: readonly Uint8Array[],
  output: Uint8Array = new Uint8Array(),
): ProgramState {
  const outputPieces: Uint8Array[] = [];
  for (let offset = 0; offset < output.length; offset += SNAPSHOT_PIECE_BYTES) {
    outputPieces.push(output.subarray(offset, offset + SNAPSHOT_PIECE_BYTES));
  }
  const digestsOf = (pieces: readonly Uint8Array[]): Uint8Array => concatBytes(...pieces.map((piece) => sha256(piece)));
  const host = encodeHostState({
    isDone: false,
    steps: step,
    fuel: step * 10,
    randomBytes: 0,
    outputBytes: output.length,
    logBytes: 0,
    logs: 0,
    metrics: 0,
    pages: pages.length,
    isOutputWritten: output.length > 0,
    nextCheckpointFuel: 0,
    metricsHash: METRICS_HASH,
  });
  const state: SnapshotState = {
    kind: 'memory',
    host,
    globals: new Uint8Array(9),
    pages: digestsOf(pages),
    output: digestsOf(outputPieces),
  };
  return describeState(step, state, [...pages, ...outputPieces]);
}

/** A checkpoint of any state, of which all pieces are given. */
export function describeState(step: number, state: SnapshotState, bytes: readonly Uint8Array[]): ProgramState {
  const pieces = listPieces(state);
  const keyed = new Map(bytes.map((piece) => [Buffer.from(sha256(piece)).toString('hex'), piece]));
  const distinct: Uint8Array[] = [];
  for (let offset = 0; offset < pieces.length; offset += DIGEST_BYTES) {
    const digest = Buffer.from(pieces.subarray(offset, offset + DIGEST_BYTES)).toString('hex');
    distinct.push(keyed.get(digest) as Uint8Array);
  }
  const checkpoint: StateCheckpoint = {
    step,
    fuel: step * 10,
    place: 'middle',
    stateRoot: computeStateRoot(state),
    metricsHash: METRICS_HASH,
    ordinal: 0,
    state,
    pieces,
  };
  return { checkpoint, pieces: distinct };
}

/** Carries an order out, as an executor does. */
export async function makeSnapshot(
  maker: SnapshotMaker,
  { checkpoint, pieces }: ProgramState,
): Promise<{ readonly entry: SnapshotEntry; readonly wanted: number }> {
  await using task = await maker.begin(checkpoint, { keptUntilMs: Number.MAX_SAFE_INTEGER });
  for (const place of task.wanted) await task.receive(place, pieces[place] as Uint8Array);
  return { entry: await task.complete(), wanted: task.wanted.length };
}
