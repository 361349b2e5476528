import type { JobId } from '../../domain/ids.ts';
import { decodeObject } from '../../domain/object-type.ts';
import {
  MAX_SNAPSHOT_PIECES,
  SNAPSHOT,
  SNAPSHOT_BODY,
  type Snapshot,
  type SnapshotBody,
} from '../../domain/snapshot.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { describeError } from '../../lib/errors.ts';
import { parseHostState } from '../../proofs/host-state.ts';
import { openBody } from '../../proofs/snapshot-seal.ts';
import { DIGEST_BYTES, listPieces } from '../../proofs/state-pieces.ts';
import { computeStateRoot } from '../../proofs/state-root.ts';
import { SnapshotError } from './errors.ts';

/** What a signed checkpoint says of its snapshot; absent fields are not compared. */
export interface ExpectedSnapshot {
  readonly job?: JobId;
  readonly step?: number;
  readonly stateRoot?: Uint8Array;
  /** Of a stepping program: what its successor is held to, so it must be what the state says. */
  readonly fuel?: number | null;
  /** As the job says. */
  readonly sealed?: boolean;
}

export interface OpenedSnapshot {
  readonly snapshot: Snapshot;
  /** Null for a sealed one without its key: then nothing tells that it is the state. */
  readonly body: SnapshotBody | null;
  /** SHA-256 of each distinct piece in order, before sealing; null where `body` is. */
  readonly pieces: Uint8Array | null;
}

/**
 * Checks an encoded snapshot against what was signed. The state root is computed anew from the body, and the list of items
 * compared with the body's pieces; those of a sealed one are compared when they are read.
 * @throws SnapshotError SNAPSHOT_INVALID
 */
export function openSnapshot(
  bytes: Uint8Array,
  { key, expected }: { readonly key: Uint8Array | null; readonly expected: ExpectedSnapshot },
): OpenedSnapshot {
  const snapshot = check('its object is malformed', () => decodeObject(SNAPSHOT, bytes));
  checkItems(snapshot.items);
  const { sealed } = expected;
  if (sealed !== undefined && sealed !== snapshot.sealed) {
    throw invalid(
      sealed ? 'it is not sealed, and the job asks for that' : 'it is sealed, and the job does not ask for that',
    );
  }
  checkPlace(snapshot, expected);
  const encoded = readBody(snapshot, key);
  if (encoded === null) return { snapshot, body: null, pieces: null };
  const body = check('its body is malformed', () => decodeObject(SNAPSHOT_BODY, encoded));
  checkPlace(body, snapshot);
  const root = check('its state is malformed', () => computeStateRoot(body.state));
  if (!areBytesEqual(root, body.stateRoot)) throw invalid('its pieces do not give its state root');
  if (expected.stateRoot !== undefined && !areBytesEqual(root, expected.stateRoot)) {
    throw invalid('its state root is not the one that was signed');
  }
  checkHost(body, expected);
  const pieces = listPieces(body.state);
  const isWhole = snapshot.sealed ? pieces.length === snapshot.items.length : areBytesEqual(pieces, snapshot.items);
  if (!isWhole) throw invalid('its items are not the pieces of its state');
  return { snapshot, body, pieces };
}

function readBody(snapshot: Snapshot, key: Uint8Array | null): Uint8Array | null {
  if (!snapshot.sealed) return snapshot.body;
  if (key === null) return null;
  const opened = openBody(key, snapshot.body);
  if (opened.kind === 'opened') return opened.bytes;
  throw invalid(`its body does not open with the job's key (${opened.reason})`);
}

function checkPlace(found: { readonly job: JobId; readonly step: number }, expected: ExpectedSnapshot): void {
  if (expected.job !== undefined && found.job !== expected.job) throw invalid(`it is of the job ${found.job}`);
  if (expected.step !== undefined && found.step !== expected.step) throw invalid(`it is of step ${found.step}`);
}

/** The host state says again what is signed beside the root: who goes on from it begins with these. */
function checkHost({ state, step }: SnapshotBody, { fuel }: ExpectedSnapshot): void {
  if (state.kind !== 'memory') return;
  const host = parseHostState(state.host);
  if (host.steps !== step) throw invalid(`its state is of step ${host.steps}, not ${step}`);
  if (fuel !== undefined && host.fuel !== fuel) {
    throw invalid(`its state has used ${host.fuel} units of fuel, and ${fuel} were signed`);
  }
}

function checkItems(items: Uint8Array): void {
  const count = items.length / DIGEST_BYTES;
  if (!Number.isInteger(count) || count > MAX_SNAPSHOT_PIECES) throw invalid('its list of items is not one of digests');
  const buffer = Buffer.from(items.buffer, items.byteOffset, items.length);
  const keys = new Set<string>();
  for (let offset = 0; offset < items.length; offset += DIGEST_BYTES) {
    keys.add(buffer.toString('latin1', offset, offset + DIGEST_BYTES));
  }
  if (keys.size !== count) throw invalid('it lists an item twice');
}

function check<Result>(what: string, task: () => Result): Result {
  try {
    return task();
  } catch (error) {
    throw new SnapshotError(
      { code: 'SNAPSHOT_INVALID', reason: `${what}: ${describeError(error).slice(0, 200)}` },
      { cause: error },
    );
  }
}

function invalid(reason: string): SnapshotError {
  return new SnapshotError({ code: 'SNAPSHOT_INVALID', reason });
}
