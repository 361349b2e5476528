import type { BlobId } from '../../domain/ids.ts';
import { decodeObject } from '../../domain/object-type.ts';
import { SNAPSHOT, type Snapshot } from '../../domain/snapshot.ts';
import { formatRawId, sha256 } from '../../lib/cid.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { DAMAGED_PACKS_KEPT } from './constants.ts';
import { eachDigest } from './each-digest.ts';
import type { ItemIndex, Pack, StoredItem } from './item-index.ts';
import type { PackDisk } from './pack-disk.ts';
import { DAMAGED_SUFFIX, INCOMPLETE_SUFFIX, packName, parsePackName, readPack } from './pack-file.ts';
import { parseSnapshotKey, type RegistrationRow } from './registration-codec.ts';
import type { Registration, SnapshotCatalog, StoredSnapshot } from './snapshot-catalog.ts';

export interface LoadParts {
  readonly disk: PackDisk;
  readonly index: ItemIndex;
  readonly catalog: SnapshotCatalog;
  readonly logger: Logger;
}

export interface LoadedPacks {
  /** Of the next pack. */
  readonly nextNumber: number;
  readonly packBySnapshot: ReadonlyMap<BlobId, FoundObject>;
}

interface FoundObject {
  readonly pack: Pack;
  readonly sizeBytes: number;
}

/** Finds every item from the packs alone, after what was not finished is gone; damaged packs are set aside. */
export async function loadPacks({ disk, index, logger }: LoadParts): Promise<LoadedPacks> {
  await disk.start();
  const names = await disk.list();
  for (const name of names) if (name.endsWith(INCOMPLETE_SUFFIX)) await disk.remove(name);
  await removeOldDamaged(disk, names);
  const packBySnapshot = new Map<BlobId, FoundObject>();
  for (const number of names
    .map(parsePackName)
    .filter((found) => found !== undefined)
    .sort((a, b) => a - b)) {
    const written = await readPack(disk, number);
    if (written === undefined) {
      const name = packName(number);
      logger.warn({ name }, 'a file of snapshots has a damaged list and was set aside');
      await disk.rename(name, name + DAMAGED_SUFFIX);
      continue;
    }
    const pack = index.adopt(written);
    const { snapshot } = written.content;
    if (snapshot === null) continue;
    packBySnapshot.set(formatRawId(snapshot.digest) as BlobId, { pack, sizeBytes: snapshot.sizeBytes });
  }
  return { nextNumber: findLastNumber(names) + 1, packBySnapshot };
}

function findLastNumber(names: readonly string[]): number {
  return names.reduce((last, name) => Math.max(last, parsePackName(name.replace(/\.pack\..*$/, '.pack')) ?? 0), 0);
}

async function removeOldDamaged(disk: PackDisk, names: readonly string[]): Promise<void> {
  const damaged = names.filter((name) => name.endsWith(DAMAGED_SUFFIX)).sort();
  for (const name of damaged.slice(0, -DAMAGED_PACKS_KEPT)) await disk.remove(name);
}

/** Takes in the snapshots that rows name and that are whole; gives the keys of the other rows. */
export async function loadSnapshots(
  parts: LoadParts,
  rows: AsyncIterable<readonly [key: string, row: RegistrationRow]>,
  packBySnapshot: LoadedPacks['packBySnapshot'],
): Promise<readonly string[]> {
  const { catalog, logger } = parts;
  const orphans: string[] = [];
  for await (const [rowKey, row] of rows) {
    const key = parseSnapshotKey(rowKey);
    const place = packBySnapshot.get(row.snapshot);
    const stored = key && (catalog.find(row.snapshot) ?? (place && (await loadSnapshot(parts, row.snapshot, place))));
    if (key === undefined || stored === undefined) {
      logger.warn({ key: rowKey, snapshot: row.snapshot }, 'a snapshot is gone from the disk or damaged');
      orphans.push(rowKey);
      continue;
    }
    const { id: blob, sizeBytes, job, itemBytes } = stored;
    const { addedBytes, keptUntilMs } = row;
    const entry = { ...key, job, reference: { blob, sizeBytes }, itemBytes, addedBytes, keptUntilMs };
    stored.holders += 1;
    catalog.register({ snapshot: stored, entry });
  }
  return orphans;
}

/** Undefined unless all of it is here. */
async function loadSnapshot(
  { disk, index, catalog }: LoadParts,
  id: BlobId,
  { pack, sizeBytes }: FoundObject,
): Promise<StoredSnapshot | undefined> {
  const bytes = await disk.read(packName(pack.number), pack.snapshotOffset, sizeBytes);
  if (bytes === undefined || formatRawId(sha256(bytes)) !== id) return undefined;
  const snapshot = tryDecode(bytes);
  if (snapshot === undefined) return undefined;
  const items: StoredItem[] = [];
  let missing = 0;
  await eachDigest(snapshot.items, (key) => {
    const item = index.find(key);
    if (item === undefined) missing += 1;
    else items.push(item);
  });
  if (missing > 0) return undefined;
  for (const item of items) index.retain(item);
  pack.holders += 1;
  const { job, step } = snapshot;
  const itemBytes = items.reduce((sum, item) => sum + item.sizeBytes, 0);
  const registrations = new Set<Registration>();
  const stored = { id, job, step, pack, sizeBytes, items, itemBytes, holders: 0, registrations };
  catalog.addSnapshot(stored);
  return stored;
}

function tryDecode(bytes: Uint8Array): Snapshot | undefined {
  try {
    return decodeObject(SNAPSHOT, bytes);
  } catch {
    return undefined;
  }
}
