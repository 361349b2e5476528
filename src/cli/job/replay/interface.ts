/**
 * replay runs an interval of a job again, from a bundle file alone, and compares the state root at every checkpoint on
 * the way with the one that was signed. What it shows: that this machine, with this instrumenter, got these roots.
 */
import type { LeaseId } from '../../../domain/ids.ts';

export interface ReplayRange {
  /** Begins at the newest snapshot at or before this step. */
  readonly from: number;
  /** Ends at the first checkpoint at or after this step. */
  readonly to: number;
}

/** A checkpoint of the record, of the replay, or of both. Roots are hexadecimal. */
export interface ReplayRow {
  readonly step: number;
  readonly recorded: string | null;
  readonly replayed: string | null;
  /**
   * `different`: another root, or a checkpoint on one side where the other must have one and has none. `unrecorded`: the
   * file does not say what the root was. `inexact`: another root, of files that are within the job's tolerances.
   * `uncompared`: another root of a job with tolerances, whose recorded files are not in the bundle.
   */
  readonly verdict: 'same' | 'different' | 'unrecorded' | 'inexact' | 'uncompared';
  /** How files differ, in plain words. Absent where they were not compared. */
  readonly detail?: string;
}

/** A snapshot in the file that is not the state that was committed to. */
export interface FalseSnapshot {
  readonly step: number;
  readonly reason: string;
  /** Pieces that differ from the state that the replay got: known once it has come by. */
  readonly pieces: readonly string[] | null;
}

export interface ReplayReport {
  readonly label: string;
  readonly lease: LeaseId;
  readonly provider: string;
  readonly replica: number;
  /** `invalid`: its evidence does not hold, nothing was run. `unchecked`: `missing` says what it would take. */
  readonly verdict: 'equal' | 'different' | 'invalid' | 'unchecked';
  readonly missing: readonly string[];
  readonly invalid: readonly string[];
  /** Where it began; null if nothing was run. */
  readonly begin: { readonly step: number; readonly at: 'beginning' | 'snapshot' } | null;
  readonly rows: readonly ReplayRow[];
  /** After `from` (null: no such step) the states were the same, after `to` they are not. */
  readonly difference: { readonly from: number | null; readonly to: number } | null;
  /** How the result differs from the one in the receipt; null if the replay did not come to the end. */
  readonly resultDifferences: readonly string[] | null;
  readonly falseSnapshots: readonly FalseSnapshot[];
  readonly run: {
    readonly isolation: string;
    readonly instrumenter: string;
    readonly fuel: number | null;
    readonly steps: number;
    readonly cpuTimeMs: number;
    readonly wallTimeMs: number;
  } | null;
}
