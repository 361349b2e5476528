import { describe, expect, it } from 'vitest';
import type { SnapshotKey } from '../../../src/blob/interface.ts';
import { PackedSnapshotStore } from '../../../src/blob/snapshots/packed-snapshot-store.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import { encodeObject } from '../../../src/domain/object-type.ts';
import { SNAPSHOT } from '../../../src/domain/snapshot.ts';
import { computeRawId, sha256 } from '../../../src/lib/cid.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { RecordingLogger, RecordingMetrics } from '../../support/network.ts';
import { itemOf, leaseOf, snapshotOf, writeSnapshot } from '../../support/snapshots.ts';

const MIB = 2 ** 20;
const LEASE = leaseOf('a');
const keyOf = (step: number, lease = LEASE): SnapshotKey => ({ role: 'provider', lease, step });
const itemsOf = (...seeds: number[]): Uint8Array[] => seeds.map((seed) => itemOf(seed));

async function open(
  setup: { disk?: MemoryDisk; database?: MemoryDatabase; clock?: ManualClock; maxBytes?: number } = {},
) {
  const { disk = new MemoryDisk(), database = new MemoryDatabase(), clock = new ManualClock() } = setup;
  const [logger, metrics] = [new RecordingLogger(), new RecordingMetrics()];
  const modules = { disk, database, clock, logger, metrics };
  const store = new PackedSnapshotStore(modules, { folder: '/packs', maxBytes: setup.maxBytes ?? 64 * MIB });
  await store.start();
  return { store, ...modules };
}

describe('PackedSnapshotStore', () => {
  it('keeps a snapshot whole, over a restart', async () => {
    const { store, disk, database } = await open();
    const items = itemsOf(1, 2, 3);
    const entry = await writeSnapshot(store, { key: keyOf(5), items });
    const object = encodeObject(SNAPSHOT, snapshotOf(items, 5));
    expect(entry).toMatchObject({ role: 'provider', lease: LEASE, step: 5, itemBytes: 3_000, addedBytes: 3_000 });
    expect(entry.reference).toEqual({ blob: computeRawId(object), sizeBytes: object.length });
    await store[Symbol.asyncDispose]();
    const again = await open({ disk: disk.afterKill(), database: database.clone() });
    expect(again.store.list({})).toEqual([entry]);
    expect(again.store.find(entry.reference.blob)).toEqual(entry);
    expect(await again.store.readSnapshot(entry.reference.blob)).toEqual(object);
    for (const item of items) expect(await again.store.readItem(sha256(item))).toEqual(item);
    expect(await again.store.readItem(sha256(itemOf(9)))).toBeUndefined();
    expect(await again.store.readSnapshot(BlobId(computeRawId(itemOf(9))))).toBeUndefined();
  });

  it('asks for and stores an item once, however many snapshots hold it', async () => {
    const { store } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2, 3) });
    const before = store.usage().bytes;
    await using writer = await store.begin(keyOf(2), snapshotOf(itemsOf(2, 4, 1), 2), { keptUntilMs: 2e15 });
    expect(writer.missing).toEqual([1]);
    await writer.add(1, itemOf(4));
    expect(writer.missing).toEqual([]);
    expect(await writer.commit()).toMatchObject({ itemBytes: 3_000, addedBytes: 1_000 });
    expect(store.usage().bytes - before).toBeLessThan(2_000);
    expect(store.findMissing(snapshotOf(itemsOf(4, 9, 1, 8)).items)).toEqual([1, 3]);
  });

  it('shows nothing of a snapshot before it is committed, and nothing of one that was given up', async () => {
    const { store, disk } = await open();
    const snapshot = snapshotOf(itemsOf(1, 2));
    {
      await using writer = await store.begin(keyOf(1), snapshot, { keptUntilMs: 2e15 });
      await writer.add(0, itemOf(1));
      await expect(writer.commit()).rejects.toMatchObject({ code: 'SNAPSHOT_INCOMPLETE', info: { missing: 1 } });
      expect(writer.missing).toEqual([1]);
      expect(store.list({})).toEqual([]);
      expect(await store.readItem(sha256(itemOf(1)))).toBeUndefined();
    }
    expect(disk.names).toEqual([]);
    expect(store.usage()).toMatchObject({ snapshots: 0, bytes: 0 });
  });

  it('refuses bytes that are not the item, and places that are not in the list', async () => {
    const { store } = await open();
    await using writer = await store.begin(keyOf(1), snapshotOf(itemsOf(1)), { keptUntilMs: 2e15 });
    await expect(writer.add(0, itemOf(2))).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    await expect(writer.add(1, itemOf(1))).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    await writer.add(0, itemOf(1));
    await writer.commit();
    await expect(writer.add(0, itemOf(1))).rejects.toMatchObject({ code: 'BLOB_IO' });
  });

  it('takes the same snapshot from many writers at once and keeps it once', async () => {
    const { store } = await open();
    const items = itemsOf(1, 2, 3);
    const keys = [1, 2, 3, 4].map((number) => keyOf(7, leaseOf(number)));
    const entries = await Promise.all(keys.map((key) => writeSnapshot(store, { key, items })));
    expect(new Set(entries.map(({ reference }) => reference.blob)).size).toBe(1);
    await store.whenReclaimed();
    expect(store.usage()).toMatchObject({ snapshots: 1 });
    expect(store.usage().bytes).toBeLessThan(5_000);
    for (const key of keys.slice(1)) await store.release(key);
    expect(store.list({})).toHaveLength(1);
    for (const item of items) expect(await store.readItem(sha256(item))).toEqual(item);
  });

  it('lists by role and lease in order of step', async () => {
    const { store } = await open();
    for (const step of [30, 4, 200]) await writeSnapshot(store, { key: keyOf(step), items: itemsOf(step) });
    await writeSnapshot(store, { key: { ...keyOf(5), role: 'holder' }, items: itemsOf(5) });
    await writeSnapshot(store, { key: keyOf(6, leaseOf('b')), items: itemsOf(6) });
    const steps = (filter: object): number[] => store.list(filter).map(({ step }) => step);
    expect(steps({ lease: LEASE, role: 'provider' })).toEqual([4, 30, 200]);
    expect(steps({ lease: LEASE })).toEqual([4, 5, 30, 200]);
    expect(steps({ role: 'holder' })).toEqual([5]);
    expect(steps({})).toEqual([4, 5, 6, 30, 200]);
  });

  it('puts another snapshot under the same key in the place of the first', async () => {
    const { store } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2) });
    const second = await writeSnapshot(store, { key: keyOf(1), items: itemsOf(2, 3) });
    expect(store.list({})).toEqual([second]);
    await store.whenReclaimed();
    expect(store.findMissing(snapshotOf(itemsOf(1, 2, 3)).items)).toEqual([0]);
  });

  it('lets go of what is released, and of nothing that another needs', async () => {
    const { store, disk } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2, 3) });
    await writeSnapshot(store, { key: keyOf(2), items: itemsOf(2, 4) });
    await store.release(keyOf(1));
    await store.release(keyOf(1));
    await store.whenReclaimed();
    expect(store.findMissing(snapshotOf(itemsOf(1, 2, 3, 4)).items)).toEqual([0, 2]);
    expect(await store.readItem(sha256(itemOf(2)))).toEqual(itemOf(2));
    await store.release(keyOf(2));
    await store.whenReclaimed();
    expect(disk.names).toEqual([]);
    expect(store.usage()).toMatchObject({ snapshots: 0, bytes: 0 });
  });

  it('keeps what a writer counts on although its snapshot was released', async () => {
    const { store } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2) });
    await using writer = await store.begin(keyOf(2), snapshotOf(itemsOf(1, 2), 2), { keptUntilMs: 2e15 });
    await store.release(keyOf(1));
    await store.whenReclaimed();
    await writer.commit();
    expect(await store.readItem(sha256(itemOf(1)))).toEqual(itemOf(1));
  });

  it('lets go by itself when the time has come, and not before', async () => {
    const { store, clock } = await open();
    const keptUntilMs = clock.nowMs() + 600_000;
    for (const step of [1, 2]) await writeSnapshot(store, { key: keyOf(step), items: itemsOf(step), keptUntilMs });
    await store.keepUntil(keyOf(2), keptUntilMs + 600_000);
    await clock.advance(599_000);
    expect(store.list({})).toHaveLength(2);
    await clock.advance(61_000);
    expect(store.list({}).map(({ step }) => step)).toEqual([2]);
    await clock.advance(600_000);
    expect(store.list({})).toEqual([]);
    await store[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it('brings together what is left of many packs', async () => {
    const { store, disk } = await open();
    for (let step = 1; step <= 20; step += 1) {
      await writeSnapshot(store, { key: keyOf(step), items: [itemOf(step), itemOf(1_000 + step, 60_000)] });
    }
    const kept = Array.from({ length: 20 }, (_, index) => itemOf(index + 1));
    await writeSnapshot(store, { key: keyOf(99), items: kept });
    for (let step = 1; step <= 20; step += 1) await store.release(keyOf(step));
    await store.whenReclaimed();
    expect(disk.names.length).toBeLessThan(10);
    expect(disk.totalBytes).toBeLessThan(25_000);
    for (const item of kept) expect(await store.readItem(sha256(item))).toEqual(item);
  });

  it('stays below its limit, and is usable after it was reached', async () => {
    const { store } = await open({ maxBytes: 200_000 });
    await writeSnapshot(store, { key: keyOf(1), items: [itemOf(1, 60_000)] });
    await writeSnapshot(store, { key: keyOf(2), items: [itemOf(2, 60_000)] });
    const third = { key: keyOf(3), items: [itemOf(3, 60_000), itemOf(4, 60_000)] };
    await expect(writeSnapshot(store, third)).rejects.toMatchObject({
      code: 'SNAPSHOT_STORE_FULL',
      info: { what: 'bytes', limit: 200_000 },
    });
    await using collector = await store.collect(keyOf(4), { keptUntilMs: 2e15 });
    await collector.add(itemOf(5, 60_000));
    await expect(collector.add(itemOf(6, 60_000))).rejects.toMatchObject({ code: 'SNAPSHOT_STORE_FULL' });
    await collector[Symbol.asyncDispose]();
    await store.release(keyOf(1));
    await writeSnapshot(store, third);
    expect(store.usage().bytes).toBeLessThan(200_000);
  });

  it('makes room from what is past its time before it refuses', async () => {
    const { store, clock } = await open({ maxBytes: 150_000 });
    const keptUntilMs = clock.nowMs() + 1_000;
    await writeSnapshot(store, { key: keyOf(1), items: [itemOf(1, 60_000), itemOf(2, 60_000)], keptUntilMs });
    await clock.advance(2_000);
    await writeSnapshot(store, { key: keyOf(2), items: [itemOf(3, 60_000)] });
    expect(store.list({}).map(({ step }) => step)).toEqual([2]);
  });

  it('leaves nothing half written on a full disk', async () => {
    const { store, disk } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1) });
    disk.isFull = true;
    const large = Array.from({ length: 40 }, (_, index) => itemOf(100 + index, 60_000));
    await expect(writeSnapshot(store, { key: keyOf(2), items: large })).rejects.toMatchObject({
      code: 'BLOB_DISK_FULL',
    });
    await expect(writeSnapshot(store, { key: keyOf(3), items: itemsOf(3) })).rejects.toMatchObject({
      code: 'BLOB_DISK_FULL',
    });
    expect(disk.names).toHaveLength(1);
    disk.isFull = false;
    await writeSnapshot(store, { key: keyOf(2), items: large });
    expect(store.list({})).toHaveLength(2);
  });

  it('is whole or not there when the database fails', async () => {
    const { store, disk, database } = await open();
    database.onWrite = () => {
      throw new TypeError('it fails');
    };
    await expect(writeSnapshot(store, { key: keyOf(1), items: itemsOf(1) })).rejects.toThrow('it fails');
    database.onWrite = undefined;
    await store.whenReclaimed();
    expect(store.list({})).toEqual([]);
    expect(disk.names).toEqual([]);
  });

  it('collects a snapshot of which the items come to be known one by one', async () => {
    const { store } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1) });
    await using collector = await store.collect(keyOf(2), { keptUntilMs: 2e15 });
    expect(collector.hold(sha256(itemOf(1)))).toBe(true);
    expect(collector.hold(sha256(itemOf(2)))).toBe(false);
    expect(await collector.add(itemOf(2))).toEqual(sha256(itemOf(2)));
    await expect(collector.commit(snapshotOf(itemsOf(1, 2, 3), 2))).rejects.toMatchObject({
      code: 'SNAPSHOT_INCOMPLETE',
    });
    expect(await collector.commit(snapshotOf(itemsOf(2, 1), 2))).toMatchObject({ addedBytes: 1_000 });
  });
});

describe('damage on disk', () => {
  it('is never given out: the item and the snapshots that hold it are gone', async () => {
    const { store, disk, logger } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2) });
    await writeSnapshot(store, { key: keyOf(2), items: itemsOf(3) });
    disk.flip(disk.names[0] ?? '', 1_500);
    expect(await store.readItem(sha256(itemOf(1)))).toEqual(itemOf(1));
    await expect(store.readItem(sha256(itemOf(2)))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    expect(await store.readItem(sha256(itemOf(2)))).toBeUndefined();
    expect(store.list({}).map(({ step }) => step)).toEqual([2]);
    expect(logger.lines.some(({ level }) => level === 'error')).toBe(true);
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2) });
    expect(await store.readItem(sha256(itemOf(2)))).toEqual(itemOf(2));
  });

  it('of a snapshot object ends that snapshot', async () => {
    const { store, disk } = await open();
    const { reference } = await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1) });
    disk.flip(disk.names[0] ?? '', 1_010);
    await expect(store.readSnapshot(reference.blob)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    expect(store.list({})).toEqual([]);
    expect(await store.readSnapshot(reference.blob)).toBeUndefined();
  });

  it('is not carried into a compacted pack', async () => {
    const { store, disk } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2, 3, 4, 5) });
    await writeSnapshot(store, { key: keyOf(2), items: itemsOf(2) });
    disk.flip(disk.names[0] ?? '', 1_500);
    await store.release(keyOf(1));
    await store.whenReclaimed();
    await store.whenReclaimed();
    expect(store.list({})).toEqual([]);
    expect(store.findMissing(snapshotOf(itemsOf(2)).items)).toEqual([0]);
  });

  it.each([
    ['a flipped bit of its list', (disk: MemoryDisk, name: string, size: number) => disk.flip(name, size - 60)],
    ['a flipped bit of its end', (disk: MemoryDisk, name: string, size: number) => disk.flip(name, size - 1)],
    ['a missing end', (disk: MemoryDisk, name: string, size: number) => disk.truncate(name, size - 3)],
    ['nothing in it', (disk: MemoryDisk, name: string) => disk.truncate(name, 0)],
  ])('sets a pack with %s aside, and start goes on', async (_name, damage) => {
    const { store, disk, database } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1) });
    const second = await writeSnapshot(store, { key: keyOf(2), items: itemsOf(2) });
    await store[Symbol.asyncDispose]();
    const [first = ''] = disk.names;
    damage(disk, first, await disk.measure(first));
    const again = await open({ disk, database: database.clone() });
    expect(again.store.list({})).toEqual([second]);
    expect(disk.names).toContain(`${first}.damaged`);
    expect(again.logger.lines.filter(({ level }) => level === 'warn').length).toBeGreaterThan(0);
    await writeSnapshot(again.store, { key: keyOf(1), items: itemsOf(1) });
    expect(again.store.list({})).toHaveLength(2);
  });

  it('of a list takes the later snapshots along that need items of that pack', async () => {
    const { store, disk, database } = await open();
    await writeSnapshot(store, { key: keyOf(1), items: itemsOf(1, 2) });
    await writeSnapshot(store, { key: keyOf(2), items: itemsOf(2, 3) });
    await store[Symbol.asyncDispose]();
    disk.truncate(disk.names[0] ?? '', 100);
    const again = await open({ disk, database });
    expect(again.store.list({})).toEqual([]);
    await again.store.whenReclaimed();
    expect(disk.names.map((name) => name.replace(/.*\./, ''))).toEqual(['damaged']);
    expect(database.rows('snapshots').size).toBe(0);
  });
});
