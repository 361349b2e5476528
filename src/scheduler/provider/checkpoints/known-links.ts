import type { SnapshotReference } from '../../../domain/checkpoint.ts';
import type { UnixMs } from '../../../domain/ids.ts';

/** A link that was signed and journalled, as much of it as is needed to hold the next run against it. */
export interface KnownLink {
  readonly step: number;
  readonly stateRoot: Uint8Array;
  readonly metricsHash: Uint8Array;
  readonly atMs: UnixMs;
  readonly head: Uint8Array;
  readonly snapshot: SnapshotReference | null;
  /** Number of the event that told of it. */
  readonly sequence: number;
}

/** From the start on, without a gap; index 0 is the start. */
export type KnownLinks = readonly KnownLink[];
