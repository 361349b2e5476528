/** Snapshots that are not sealed: docs/stepping.md section 6.2. */
import { decodeObject, encodeObject } from '../domain/object-type.ts';
import { SNAPSHOT, SNAPSHOT_BODY, type Snapshot, type SnapshotBody } from '../domain/snapshot.ts';
import { areBytesEqual } from '../lib/bytes.ts';
import { ProofsError } from './errors.ts';
import { type PiecePlaces, placePieces } from './state-pieces.ts';

export interface OpenedSnapshot extends PiecePlaces {
  readonly body: SnapshotBody;
}

/** The snapshot object of a state, with its pieces as they are. */
export function createPlainSnapshot(body: SnapshotBody): Snapshot {
  const { pieces } = placePieces(body.state);
  return {
    type: 'fogproof/snapshot@1',
    job: body.job,
    step: body.step,
    sealed: false,
    items: pieces,
    body: encodeObject(SNAPSHOT_BODY, body),
  };
}

/**
 * Opens an encoded snapshot whose parts fit each other. That it has the state root that it states is not looked at.
 * @throws ProofsError PROOFS_BAD_STATE, CborError, DomainError
 */
export function openPlainSnapshot(bytes: Uint8Array): OpenedSnapshot {
  const { sealed, job, step, items, body: encoded } = decodeObject(SNAPSHOT, bytes);
  if (sealed) throw bad('it is sealed');
  const body = decodeObject(SNAPSHOT_BODY, encoded);
  if (body.job !== job || body.step !== step) throw bad('its body is of another job or step');
  const { pieces, places } = placePieces(body.state);
  if (!areBytesEqual(pieces, items)) throw bad('its items are not the pieces of its state');
  return { body, pieces, places };
}

function bad(reason: string): ProofsError {
  return new ProofsError({ code: 'PROOFS_BAD_STATE', reason });
}
