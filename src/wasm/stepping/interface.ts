/**
 * What a program tells its host at a checkpoint, inside the sandboxed child. Everything here is synchronous: the program
 * waits. docs/stepping.md is the specification.
 */
import type { SnapshotState } from '../../domain/snapshot.ts';

/** The state at a checkpoint; `readPiece` is valid until the host has answered. */
export interface CapturedState {
  readonly step: number;
  readonly fuel: number;
  readonly place: 'start' | 'middle' | 'end';
  readonly stateRoot: Uint8Array;
  readonly metricsHash: Uint8Array;
  /** Logs and metrics given so far. */
  readonly ordinal: number;
  readonly state: SnapshotState;
  /** SHA-256 of each distinct piece but the page of zeros, in order (docs/stepping.md section 6.1). */
  readonly pieces: Uint8Array;
  /** A view of the piece at this place of `pieces`. */
  readPiece(place: number): Uint8Array;
}

/** Answers a checkpoint: `halt` ends the run as paused. */
export type CheckpointHost = (captured: CapturedState) => 'continue' | 'halt';

/**
 * A state to begin with. Pieces are in the order of `listPieces`, read once from the front; each is valid until the next
 * one is asked for, so that a state of gigabytes is never in memory twice.
 */
export interface ResumeImage {
  readonly step: number;
  readonly state: SnapshotState;
  readonly pieces: Iterable<Uint8Array>;
}
