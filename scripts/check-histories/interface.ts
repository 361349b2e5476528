/** What the checker of histories is asked and what it finds (docs/histories.md). */
import type { InvariantId } from './invariants.ts';

export interface HistoryOptions {
  /** Jobs that clients were told were accepted: none of them may be missing. */
  readonly acknowledged?: readonly string[];
  /** Jobs and attempts may be under way: they have to be able to go on. */
  readonly allowRunning?: boolean;
  /** Wall clocks were set back or forward during the run: the order of two times of one node proves nothing. */
  readonly haveClocksJumped?: boolean;
  /** What counts as now for what is kept until a time, ms; the clock of this machine by default. */
  readonly nowMs?: number;
}

export interface Violation {
  readonly invariant: InvariantId;
  /** Name of the node's folder. */
  readonly node: string;
  /** Entry of its database, or path of a file. */
  readonly key: string;
  /** A sentence without a full stop. */
  readonly problem: string;
}

export interface InvariantResult {
  readonly id: InvariantId;
  readonly title: string;
  /** Objects that were looked at: with none, nothing was shown. */
  readonly checked: number;
  /** Those that could not be judged: something that is needed for it is rightly gone. */
  readonly unchecked: number;
  readonly violations: readonly Violation[];
}

/** A blob that a history names and that no node has, for a reason that is no fault. */
export interface StatedMissing {
  readonly node: string;
  readonly key: string;
  readonly blob: string;
  readonly reason: string;
}

export interface CheckedNode {
  readonly name: string;
  readonly folder: string;
  /** Its PeerId; null if nothing in the folder says it. */
  readonly nodeKey: string | null;
  /** It did not give its lock back: it was killed. */
  readonly wasKilled: boolean;
}

export interface HistoryReport {
  /** No violation of any invariant. */
  readonly ok: boolean;
  readonly nodes: readonly CheckedNode[];
  readonly jobs: { readonly total: number; readonly byState: Readonly<Record<string, number>> };
  /** All of them, also those for which there was nothing to check. */
  readonly invariants: readonly InvariantResult[];
  readonly missing: readonly StatedMissing[];
}
