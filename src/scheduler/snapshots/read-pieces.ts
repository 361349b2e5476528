import type { SnapshotStore } from '../../blob/interface.ts';
import type { BlobId } from '../../domain/ids.ts';
import { formatRawId } from '../../lib/cid.ts';
import { openPiece } from '../../proofs/snapshot-seal.ts';
import { DIGEST_BYTES } from '../../proofs/state-pieces.ts';
import type { ResumeState } from '../../sandbox/interface.ts';
import { PIECES_READ_AHEAD } from './constants.ts';
import { SnapshotError } from './errors.ts';
import { type ExpectedSnapshot, type OpenedSnapshot, openSnapshot } from './open-snapshot.ts';

/**
 * The pieces of an opened snapshot in the order of `listPieces`, a few read ahead; each is checked against its SHA-256.
 * @throws SnapshotError SNAPSHOT_ITEM_GONE, SNAPSHOT_INVALID; BlobError BLOB_CORRUPT
 */
export async function* readPieces(
  store: Pick<SnapshotStore, 'readItem'>,
  { snapshot, pieces }: OpenedSnapshot,
  key: Uint8Array | null,
): AsyncGenerator<Uint8Array, void> {
  if (pieces === null)
    throw new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: 'it is sealed and its key is missing' });
  const count = pieces.length / DIGEST_BYTES;
  const reading: Promise<Uint8Array>[] = [];
  for (let place = 0; place < count; place += 1) {
    while (reading.length < PIECES_READ_AHEAD && place + reading.length < count) {
      const next = readItem(store, digestAt(snapshot.items, place + reading.length));
      // A later one may fail while an earlier one is awaited; it is told when its turn comes.
      next.catch(() => undefined);
      reading.push(next);
    }
    const item = (await reading.shift()) as Uint8Array;
    yield snapshot.sealed && key !== null ? openItem(key, digestAt(pieces, place), item) : item;
  }
}

/**
 * What a program goes on from, of a snapshot in the store.
 * @throws SnapshotError SNAPSHOT_GONE, SNAPSHOT_INVALID; BlobError BLOB_CORRUPT
 */
export async function readResumeState(
  store: Pick<SnapshotStore, 'readItem' | 'readSnapshot'>,
  snapshot: BlobId,
  { key, expected }: { readonly key: Uint8Array | null; readonly expected: ExpectedSnapshot },
): Promise<ResumeState> {
  const bytes = await store.readSnapshot(snapshot);
  if (bytes === undefined) throw new SnapshotError({ code: 'SNAPSHOT_GONE', snapshot });
  const opened = openSnapshot(bytes, { key, expected });
  if (opened.body === null) {
    throw new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: 'it is sealed and its key is missing' });
  }
  const { step, state } = opened.body;
  return { step, state, pieces: readPieces(store, opened, key) };
}

/** @throws SnapshotError SNAPSHOT_INVALID unless it is that piece, sealed with this key */
export function openItem(key: Uint8Array, digest: Uint8Array, item: Uint8Array): Uint8Array {
  const opened = openPiece(key, digest, item);
  if (opened.kind === 'opened') return opened.bytes;
  const reason = `a sealed item is not the piece ${formatRawId(digest)} (${opened.reason})`;
  throw new SnapshotError({ code: 'SNAPSHOT_INVALID', reason });
}

async function readItem(store: Pick<SnapshotStore, 'readItem'>, digest: Uint8Array): Promise<Uint8Array> {
  const item = await store.readItem(digest);
  if (item === undefined) throw new SnapshotError({ code: 'SNAPSHOT_ITEM_GONE', item: formatRawId(digest) });
  return item;
}

function digestAt(digests: Uint8Array, place: number): Uint8Array {
  return digests.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES);
}
