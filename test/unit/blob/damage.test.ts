import { describe, expect, it } from 'vitest';
import { INLINE_MAX_BYTES } from '../../../src/blob/constants.ts';
import { FileBlobStore } from '../../../src/blob/file-blob-store.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import { computeRawId } from '../../../src/lib/cid.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { createBlob, leafOf, openBlobStore, STORE_KEY, sendRest } from '../../support/blob-store-rig.ts';
import { ManualClock, settleTasks } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const MIB = BLOB_LEAF_BYTES;
const NO_CACHE = { hotBytes: 1 };
const sent = createBlob(3 * MIB + 9, 1);
const NAME = { blob: sent.blob, isSealed: false };
const areEqual = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;

async function openWith(bytes: Uint8Array) {
  const database = new MemoryDatabase();
  const rig = await openBlobStore({ database }, NO_CACHE);
  await rig.store.put(bytes);
  return { ...rig, database };
}

describe('a blob on disk', () => {
  it('that is as it should be is said to be so', async () => {
    const { store } = await openWith(sent.bytes);
    expect(await store.verify(sent.blob)).toEqual({
      blob: sent.blob,
      sizeBytes: sent.bytes.length,
      leafCount: 4,
      damagedLeaves: [],
    });
    expect(await store.stat(sent.blob)).toBeDefined();
    expect(await store.verify(createBlob(5, 5).blob)).toBeUndefined();
  });

  it('of which leaves were damaged is no longer here, and only those are fetched again', async () => {
    const { store, disk, database } = await openWith(sent.bytes);
    disk.flip(NAME, 5);
    disk.flip(NAME, 3 * MIB + 1);
    expect(await store.verify(sent.blob)).toMatchObject({ leafCount: 4, damagedLeaves: [0, 3] });
    expect(await store.stat(sent.blob)).toBeUndefined();
    await expect(store.get(sent.blob, 4 * MIB)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    expect(await store.read(sent.blob, MIB, 100)).toEqual(sent.bytes.slice(MIB, MIB + 100));
    expect(await store.read(sent.blob, 0, 100)).toBeUndefined();
    await store[Symbol.asyncDispose]();
    const again = await openBlobStore({ disk: disk.afterKill(), database }, NO_CACHE);
    await using reception = await again.store.openReception(sent.blob, sent.bytes.length, {});
    expect(reception.missingNodes()).toEqual([]);
    expect(await sendRest(reception, sent)).toBe(2);
    await reception.commit();
    expect(areEqual(await again.store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });

  it.each(['get', 'verify'] as const)('that was cut short keeps the leaves that are whole (%s)', async (how) => {
    const { store, disk } = await openWith(sent.bytes);
    disk.truncate(NAME, 2 * MIB + 100);
    if (how === 'get') await expect(store.get(sent.blob, 4 * MIB)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    else expect(await store.verify(sent.blob)).toMatchObject({ damagedLeaves: [2, 3] });
    await using reception = await store.openReception(sent.blob, sent.bytes.length, {});
    expect(await sendRest(reception, sent)).toBe(2);
    await reception.commit();
    expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });

  it('of which a read finds less than there should be is looked at whole', async () => {
    const { store, disk } = await openWith(sent.bytes);
    disk.truncate(NAME, 100);
    expect(await store.read(sent.blob, 0, 10)).toEqual(sent.bytes.slice(0, 10));
    expect(await store.read(sent.blob, MIB, 10)).toBeUndefined();
    expect(await store.stat(sent.blob)).toBeUndefined();
  });

  it('of another length than it should have is found at start', async () => {
    const { store, disk, database } = await openWith(sent.bytes);
    await store[Symbol.asyncDispose]();
    disk.truncate(NAME, MIB);
    const again = await openBlobStore({ disk, database });
    expect(again.store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(1));
  });

  it('that was taken away is gone', async () => {
    const { store, disk, database } = await openWith(sent.bytes);
    disk.erase(NAME);
    await expect(store.get(sent.blob, 4 * MIB)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    expect(store.partialLeaves(sent.blob)).toBeUndefined();
    expect(database.rows('blob-nodes').size).toBe(0);
  });

  it('that was removed and stored again while the files were listed stays', async () => {
    const first = await openWith(sent.bytes);
    const disk = first.disk.afterKill();
    const list = disk.list.bind(disk);
    const [removed, stored] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    disk.list = async function* () {
      await removed.promise;
      yield* list();
      await stored.promise;
    };
    const clock = new ManualClock();
    const store = new FileBlobStore(
      { logger: new NoopLogger(), metrics: new NoopMetricsRegistry(), disk, database: first.database.clone(), clock },
      { directory: '/blobs', maxBytes: 64 * MIB, storeKey: STORE_KEY },
    );
    await store.start();
    await store.remove(sent.blob);
    removed.resolve();
    await settleTasks(20);
    await store.put(sent.bytes);
    stored.resolve();
    await store.whenReconciled();
    expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });

  it('of which the nodes were damaged has them made again', async () => {
    for (const how of ['get', 'verify'] as const) {
      const { store, database } = await openWith(sent.bytes);
      for (const key of database.rows('blob-nodes').keys()) database.rows('blob-nodes').set(key, Uint8Array.of(1));
      if (how === 'get') expect(areEqual(await store.get(sent.blob, 4 * MIB), sent.bytes)).toBe(true);
      else expect(await store.verify(sent.blob)).toMatchObject({ damagedLeaves: [] });
      expect(await store.readNode(sent.blob, { level: 0, index: 0 })).toEqual(
        sent.tree.encodeNode({ level: 0, index: 0 }),
      );
    }
  });

  it.each([300, INLINE_MAX_BYTES + 1])('of one leaf (%i bytes) is right or gone', async (size) => {
    const small = createBlob(size, 3);
    const { store, disk, database } = await openWith(small.bytes);
    expect(await store.verify(small.blob)).toMatchObject({ leafCount: 1, damagedLeaves: [] });
    if (size > INLINE_MAX_BYTES) disk.flip({ blob: small.blob, isSealed: false }, 7);
    else database.rows('blob-bytes').set(small.blob, new Uint8Array(size));
    expect(await store.verify(small.blob)).toMatchObject({ leafCount: 1, damagedLeaves: [0] });
    expect(await store.verify(small.blob)).toBeUndefined();
    expect(disk.names).toEqual([]);
  });

  it('is not judged twice at once with a reader, and an abort leaves it as it is', async () => {
    const { store, disk } = await openWith(sent.bytes);
    disk.flip(NAME, 5);
    await expect(store.verify(sent.blob, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await store.stat(sent.blob)).toBeDefined();
    const [a, b, c] = await Promise.allSettled([
      store.verify(sent.blob),
      store.get(sent.blob, 4 * MIB),
      store.verify(sent.blob),
    ]);
    expect([a.status, b.status, c.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(0b1110));
  });
});

describe('a blob of before trees', () => {
  const old = BlobId(computeRawId(sent.bytes));
  const OLD_NAME = { blob: old, isSealed: false };
  async function* chunks(): AsyncIterable<Uint8Array> {
    for (let leaf = 0; leaf < 4; leaf += 1) yield leafOf(sent, leaf);
  }

  it('is received, read, encrypted and checked whole', async () => {
    const { store, disk, database } = await openBlobStore({}, NO_CACHE);
    await store.receive(old, sent.bytes.length, chunks());
    expect(areEqual(await store.get(old, sent.bytes.length), sent.bytes)).toBe(true);
    expect(await store.verify(old)).toMatchObject({ leafCount: 4, damagedLeaves: [] });
    expect(await store.readNode(old, { level: 0, index: 0 })).toBeUndefined();
    await store.receive(old, sent.bytes.length, chunks(), { isPrivate: true });
    expect(disk.names).toEqual([`${old}.sealed`]);
    expect(areEqual(await store.get(old, sent.bytes.length), sent.bytes)).toBe(true);
    const again = await openBlobStore({ disk, database }, NO_CACHE);
    expect(await again.store.read(old, MIB - 2, 4)).toEqual(sent.bytes.slice(MIB - 2, MIB + 2));
    disk.flip({ blob: old, isSealed: true }, 5);
    expect(await again.store.verify(old)).toMatchObject({ damagedLeaves: [0, 1, 2, 3] });
    expect(disk.names).toEqual([]);
  });

  it('that was left by an older program without an entry is taken in, if it is what its name says', async () => {
    const { disk, database } = await openBlobStore();
    disk.plant(OLD_NAME, sent.bytes);
    disk.plant(NAME, sent.bytes);
    disk.plant({ blob: createBlob(9, 9).blob, isSealed: false }, Uint8Array.of(1));
    disk.plant({ blob: createBlob(2 * MIB, 9).blob, isSealed: false }, sent.bytes);
    const { store } = await openBlobStore({ disk, database }, NO_CACHE);
    expect(disk.names).toEqual([sent.blob, old].sort());
    for (const blob of [old, sent.blob]) expect(areEqual(await store.get(blob, 4 * MIB), sent.bytes)).toBe(true);
    expect(await store.readNode(sent.blob, { level: 0, index: 0 })).toBeDefined();
  });
});
