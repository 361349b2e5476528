import type { SnapshotEntry, SnapshotKey, SnapshotStore } from '../../src/blob/interface.ts';
import { JobId, LeaseId } from '../../src/domain/ids.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { concatBytes, encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeObjectId, sha256 } from '../../src/lib/cid.ts';

export const TEST_JOB = JobId(computeObjectId(encodeUtf8('a job')));

export function leaseOf(name: string | number): LeaseId {
  return LeaseId(computeObjectId(encodeUtf8(`lease ${name}`)));
}

/** The same bytes for the same seed; each seed gives others. */
export function itemOf(seed: number, sizeBytes = 1_000): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  let state = (seed + 1) * 0x9e3779b1;
  for (let offset = 0; offset + 4 <= sizeBytes; offset += 4) {
    state = (Math.imul(state ^ (state >>> 15), 0x85ebca6b) + offset) | 0;
    view.setUint32(offset, state >>> 0);
  }
  if (sizeBytes >= 4) view.setUint32(0, seed);
  return bytes;
}

/** A snapshot as the store sees it: it does not look into the body. */
export function snapshotOf(items: readonly Uint8Array[], step = 1, body = encodeUtf8('body')): Snapshot {
  const digests = concatBytes(...items.map((item) => sha256(item)));
  return { type: 'fogproof/snapshot@1', job: TEST_JOB, step, sealed: false, items: digests, body };
}

export interface WriteRequest {
  readonly key: SnapshotKey;
  readonly items: readonly Uint8Array[];
  readonly keptUntilMs?: number;
}

/** Writes a snapshot as its maker does: only what is missing. */
export async function writeSnapshot(store: SnapshotStore, request: WriteRequest): Promise<SnapshotEntry> {
  const { key, items, keptUntilMs = Number.MAX_SAFE_INTEGER } = request;
  await using writer = await store.begin(key, snapshotOf(items, key.step), { keptUntilMs });
  for (const place of writer.missing) await writer.add(place, items[place] ?? new Uint8Array());
  return await writer.commit();
}
