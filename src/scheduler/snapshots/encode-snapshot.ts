import type { JobId } from '../../domain/ids.ts';
import { encodeObject } from '../../domain/object-type.ts';
import { SNAPSHOT_BODY, type Snapshot, type SnapshotState } from '../../domain/snapshot.ts';
import { sealBody } from '../../proofs/snapshot-seal.ts';
import { SnapshotError } from './errors.ts';

export interface SnapshotContent {
  readonly job: JobId;
  readonly step: number;
  readonly stateRoot: Uint8Array;
  readonly state: SnapshotState;
  /** SHA-256 of the items in order: those of `listPieces`, or of what sealing made of them. */
  readonly items: Uint8Array;
  /** The job's snapshot key; null leaves it unsealed. */
  readonly key: Uint8Array | null;
}

/** The object of a state. @throws SnapshotError SNAPSHOT_TOO_LARGE */
export function encodeSnapshotOf({ job, step, stateRoot, state, items, key }: SnapshotContent): Snapshot {
  const body = encodeObject(SNAPSHOT_BODY, { type: 'fogproof/snapshot-body@1', job, step, stateRoot, state });
  const { maxBytes } = SNAPSHOT_BODY;
  if (body.length > maxBytes) throw new SnapshotError({ code: 'SNAPSHOT_TOO_LARGE', sizeBytes: body.length, maxBytes });
  const sealed = key !== null;
  return { type: 'fogproof/snapshot@1', job, step, sealed, items, body: sealed ? sealBody(key, body) : body };
}
