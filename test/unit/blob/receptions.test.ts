import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_RECEPTIONS, RECEPTION_KEPT_MS, RECEPTION_SYNC_MS } from '../../../src/blob/constants.ts';
import type { BlobReception } from '../../../src/blob/interface.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import { computeRawId } from '../../../src/lib/cid.ts';
import { createBlob, leafOf, openBlobStore, sendNodes, sendRest } from '../../support/blob-store-rig.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const MIB = BLOB_LEAF_BYTES;
const PLAIN = {};
const areEqual = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;
const PRIVATE = { isPrivate: true };
const sent = createBlob(3 * MIB + 9, 1);
const two = createBlob(MIB + 9, 11);
const small = createBlob(MIB - 3, 2);

describe('a reception', () => {
  it.each([PLAIN, PRIVATE])('takes leaves in any order and makes a blob of them (%j)', async (options) => {
    const { store } = await openBlobStore();
    await using reception = await store.openReception(sent.blob, sent.bytes.length, options);
    expect(reception.leafCount).toBe(4);
    expect(reception.missingNodes()).toEqual([{ level: 0, index: 0 }]);
    await expect(reception.addLeaf(0, leafOf(sent, 0))).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    await sendNodes(reception, sent);
    expect(reception.missingNodes()).toEqual([]);
    for (const leaf of [3, 0, 2]) await reception.addLeaf(leaf, leafOf(sent, leaf));
    await expect(reception.commit()).rejects.toMatchObject({ code: 'BLOB_INCOMPLETE', info: { missing: 1 } });
    expect(await store.stat(sent.blob)).toBeUndefined();
    await reception.addLeaf(1, leafOf(sent, 1));
    expect(await reception.commit()).toEqual({ blob: sent.blob, sizeBytes: sent.bytes.length });
    expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
    expect(await store.readNode(sent.blob, { level: 0, index: 0 })).toEqual(
      sent.tree.encodeNode({ level: 0, index: 0 }),
    );
    expect(store.partialLeaves(sent.blob)).toBeUndefined();
  });

  it('refuses leaves and nodes that are others, too long or too short, and stays as it was', async () => {
    const { store } = await openBlobStore();
    await using reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    const node = sent.tree.encodeNode({ level: 0, index: 0 }) ?? new Uint8Array();
    const other = createBlob(3 * MIB + 9, 5).tree.encodeNode({ level: 0, index: 0 }) ?? new Uint8Array();
    for (const wrong of [other, node.subarray(1), new Uint8Array()]) {
      await expect(reception.addNode({ level: 0, index: 0 }, wrong)).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    }
    await expect(reception.addNode({ level: 1, index: 0 }, node)).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    await sendNodes(reception, sent);
    const leaf = leafOf(sent, 1);
    const changed = leaf.slice();
    changed[77] = (changed[77] ?? 0) ^ 1;
    for (const wrong of [changed, leaf.subarray(1), leafOf(sent, 2), new Uint8Array()]) {
      await expect(reception.addLeaf(1, wrong)).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    }
    for (const place of [-1, 4, 0.5, Number.NaN]) {
      await expect(reception.addLeaf(place, leaf)).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    }
    expect(reception.hasLeaf(1)).toBe(false);
    await sendRest(reception, sent);
    await reception.commit();
  });

  it('is of one at a time, of one size, and of what can be checked', async () => {
    const { store } = await openBlobStore();
    await using reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    const size = sent.bytes.length;
    await expect(store.openReception(sent.blob, size, PLAIN)).rejects.toMatchObject({ code: 'BLOB_BUSY' });
    await sendRest(reception, sent);
    await reception.commit();
    await using again = await store.openReception(sent.blob, size, PLAIN);
    expect([again.hasLeaf(3), again.hasLeaf(4), again.missingNodes()]).toEqual([true, false, []]);
    expect(await again.commit()).toEqual({ blob: sent.blob, sizeBytes: size });
    await expect(store.openReception(sent.blob, size + 1, PLAIN)).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    const old = BlobId(computeRawId(sent.bytes));
    for (const [blob, sizeBytes] of [
      [old, size],
      [sent.blob, 5],
      [sent.blob, 2 ** 51],
      [small.blob, -1],
    ] as const) {
      await expect(store.openReception(blob, sizeBytes, PLAIN)).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    }
    await expect(store.openReception(createBlob(2 * MIB, 8).blob, 2 ** 40, PLAIN)).rejects.toMatchObject({
      code: 'BLOB_TOO_LARGE',
    });
  });

  it.each([PLAIN, PRIVATE])('of one leaf is a blob or nothing (%j)', async (options) => {
    const { store, disk } = await openBlobStore();
    {
      await using reception = await store.openReception(small.blob, small.bytes.length, options);
      expect(reception.missingNodes()).toEqual([]);
      await expect(reception.addLeaf(0, small.bytes.subarray(1))).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
      await expect(reception.commit()).rejects.toMatchObject({ code: 'BLOB_INCOMPLETE' });
      await reception.addLeaf(0, small.bytes);
    }
    expect(disk.names).toEqual([]);
    await using reception = await store.openReception(small.blob, small.bytes.length, options);
    expect(reception.hasLeaf(0)).toBe(false);
    await reception.addLeaf(0, small.bytes);
    await reception.commit();
    expect(areEqual(await store.get(small.blob, MIB), small.bytes)).toBe(true);
  });

  it('goes on where the last one was left, and hands out what is here meanwhile', async () => {
    const { store, disk, database } = await openBlobStore();
    {
      await using reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
      await sendNodes(reception, sent);
      await reception.addLeaf(2, leafOf(sent, 2));
      expect(store.partialLeaves(sent.blob)).toEqual({ sizeBytes: sent.bytes.length, leaves: Uint8Array.of(4) });
      expect(await store.read(sent.blob, 2 * MIB + 5, 10)).toEqual(sent.bytes.slice(2 * MIB + 5, 2 * MIB + 15));
      expect(await store.read(sent.blob, 2 * MIB - 1, 10)).toBeUndefined();
      expect(await store.readNode(sent.blob, { level: 0, index: 0 })).toBeDefined();
      expect(await store.readNode(sent.blob, { level: 0, index: 1 })).toBeUndefined();
    }
    expect(disk.openFiles).toBe(0);
    await store[Symbol.asyncDispose]();
    const again = await openBlobStore({ disk: disk.afterKill(), database });
    expect(again.store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(4));
    expect(await again.store.read(sent.blob, 2 * MIB, MIB)).toEqual(leafOf(sent, 2));
    await using reception = await again.store.openReception(sent.blob, sent.bytes.length, PLAIN);
    expect(await sendRest(reception, sent)).toBe(3);
    await reception.commit();
    expect(areEqual(await again.store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });

  it('syncs many leaves at once, and in any case now and then', async () => {
    const { store, disk, clock } = await openBlobStore();
    await using reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(reception, sent);
    await reception.addLeaf(0, leafOf(sent, 0));
    await reception.addLeaf(1, leafOf(sent, 1));
    expect(disk.syncs).toBe(0);
    await clock.advance(RECEPTION_SYNC_MS);
    await reception.addLeaf(2, leafOf(sent, 2));
    await clock.advance(1);
    expect(disk.syncs).toBe(1);
  });

  it('that holds nothing leaves nothing behind', async () => {
    const { store, disk } = await openBlobStore();
    const reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(reception, sent);
    await reception[Symbol.asyncDispose]();
    expect(disk.names).toEqual([]);
    expect(store.partialLeaves(sent.blob)).toBeUndefined();
    await expect(reception.addLeaf(0, leafOf(sent, 0))).rejects.toBeDefined();
  });

  it('whose blob comes whole by another way is done', async () => {
    const { store, disk } = await openBlobStore();
    await using reception = await store.openReception(sent.blob, sent.bytes.length, PRIVATE);
    await sendNodes(reception, sent);
    await reception.addLeaf(0, leafOf(sent, 0));
    await store.put(sent.bytes);
    expect([reception.hasLeaf(3), reception.missingNodes()]).toEqual([true, []]);
    await reception.addLeaf(1, leafOf(sent, 1));
    expect(await reception.commit()).toEqual({ blob: sent.blob, sizeBytes: sent.bytes.length });
    // What was asked to be private is.
    expect(disk.names).toEqual([`${sent.blob}.sealed`]);
    expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });

  it.each([
    ['by what makes room for another', () => Promise.resolve()],
    ['by the end of a reception that holds nothing', (reception: BlobReception) => reception[Symbol.asyncDispose]()],
  ])('does not take the file of its blob along, which is just being stored, %s', async (how, close) => {
    const database = new MemoryDatabase();
    const { store, disk } = await openBlobStore({ database }, { maxBytes: 8 * MIB });
    const reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(reception, sent);
    if (how.includes('room')) {
      await reception.addLeaf(0, leafOf(sent, 0));
      await reception[Symbol.asyncDispose]();
    }
    const [held, written] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    database.hold = (operations) => {
      if (!operations.some(({ kind, namespace }) => kind === 'put' && namespace === 'blobs')) return undefined;
      database.hold = undefined;
      held.resolve();
      return written.promise;
    };
    const putting = store.put(sent.bytes);
    await held.promise;
    await close(reception);
    await store.put(createBlob(2 * MIB, 6).bytes).catch(() => undefined);
    written.resolve();
    await putting;
    const again = await openBlobStore({ disk: disk.afterKill(), database: database.clone() });
    for (const there of [store, again.store]) {
      expect(areEqual(await there.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
    }
  });

  it('begins anew when what is here is in plain and should be private', async () => {
    const { store, disk } = await openBlobStore();
    const plain = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(plain, sent);
    await plain.addLeaf(0, leafOf(sent, 0));
    await plain[Symbol.asyncDispose]();
    const sealed = await store.openReception(sent.blob, sent.bytes.length, PRIVATE);
    expect(sealed.hasLeaf(0)).toBe(false);
    await sendNodes(sealed, sent);
    await sealed.addLeaf(0, leafOf(sent, 0));
    await sealed[Symbol.asyncDispose]();
    expect(disk.names).toEqual([`${sent.blob}.sealed`]);
    await using later = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    expect(later.hasLeaf(0)).toBe(true);
    expect(await store.read(sent.blob, 3, 9)).toEqual(sent.bytes.slice(3, 12));
  });

  it('whose file was taken away begins anew', async () => {
    const { store, disk } = await openBlobStore();
    const first = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(first, sent);
    await first.addLeaf(0, leafOf(sent, 0));
    await first[Symbol.asyncDispose]();
    disk.erase({ blob: sent.blob, isSealed: false });
    await using again = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    expect(await sendRest(again, sent)).toBe(4);
    await again.commit();
    expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });
});

describe('a disk that fails under a reception', () => {
  it('by being full is told, and the reception goes on when there is room', async () => {
    const { store, disk } = await openBlobStore();
    await using reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(reception, sent);
    await reception.addLeaf(0, leafOf(sent, 0));
    disk.isFull = true;
    await expect(reception.addLeaf(1, leafOf(sent, 1))).rejects.toMatchObject({ code: 'BLOB_DISK_FULL' });
    expect(reception.hasLeaf(1)).toBe(false);
    disk.isFull = false;
    expect(await sendRest(reception, sent)).toBe(3);
    await reception.commit();
  });

  it('by a sync that fails is told, and nothing since the last good one counts', async () => {
    const { store, disk, clock } = await openBlobStore();
    const reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(reception, sent);
    await clock.advance(RECEPTION_SYNC_MS);
    await reception.addLeaf(0, leafOf(sent, 0));
    await clock.advance(1);
    for (const leaf of [1, 2, 3]) await reception.addLeaf(leaf, leafOf(sent, leaf));
    disk.isSyncFailing = true;
    await expect(reception.commit()).rejects.toMatchObject({ code: 'BLOB_IO' });
    disk.isSyncFailing = false;
    await expect(reception.commit()).rejects.toMatchObject({ code: 'BLOB_INCOMPLETE' });
    await reception[Symbol.asyncDispose]();
    expect(store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(1));
    await using again = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    expect(await sendRest(again, sent)).toBe(3);
    await again.commit();
  });
});

describe('room', () => {
  it('of a reception is its blob in full; idle ones go like blobs, open ones never', async () => {
    const { store, clock } = await openBlobStore({}, { maxBytes: 8 * MIB });
    const other = createBlob(3 * MIB, 3);
    const third = createBlob(3 * MIB, 4);
    const idle = await store.openReception(other.blob, other.bytes.length, PLAIN);
    await sendNodes(idle, other);
    await idle.addLeaf(0, leafOf(other, 0));
    await idle[Symbol.asyncDispose]();
    await clock.advance(1000);
    await using open = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(open, sent);
    await open.addLeaf(0, leafOf(sent, 0));
    expect(store.partialLeaves(other.blob)).toBeDefined();
    await store.put(third.bytes);
    expect(store.partialLeaves(other.blob)).toBeUndefined();
    await expect(store.put(createBlob(5 * MIB, 6).bytes)).rejects.toMatchObject({ code: 'BLOB_NO_ROOM' });
    expect(open.hasLeaf(0)).toBe(true);
    await sendRest(open, sent);
    await open.commit();
  });

  it('is given back by what nobody goes on with for a week', async () => {
    const clock = new ManualClock();
    const { store, disk, database } = await openBlobStore({ clock });
    const reception = await store.openReception(sent.blob, sent.bytes.length, PLAIN);
    await sendNodes(reception, sent);
    await reception.addLeaf(0, leafOf(sent, 0));
    await reception[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await clock.advance(RECEPTION_KEPT_MS);
    const kept = await openBlobStore({ clock, disk, database });
    expect(kept.store.partialLeaves(sent.blob)).toBeDefined();
    await kept.store[Symbol.asyncDispose]();
    await clock.advance(1);
    const later = await openBlobStore({ clock, disk, database });
    expect(later.store.partialLeaves(sent.blob)).toBeUndefined();
    expect(disk.names).toEqual([]);
    const rows = database instanceof MemoryDatabase ? database.rows('blob-nodes').size : -1;
    expect(rows).toBe(0);
  });

  it('is for a bounded number of receptions', async () => {
    const { store } = await openBlobStore({}, { maxBytes: 1024 * MIB });
    await using stack = new AsyncDisposableStack();
    for (let count = 0; count < MAX_RECEPTIONS; count += 1) {
      const blob = BlobId(createBlob(2, count).blob);
      stack.use(await store.openReception(blob, 2, PLAIN));
    }
    await expect(store.openReception(sent.blob, sent.bytes.length, PLAIN)).rejects.toMatchObject({
      code: 'BLOB_BUSY',
    });
  });
});

it('whatever is done to receptions in whatever order, what is here is right and ends whole', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('leaf' as const), leaf: fc.integer({ min: 0, max: 1 }) }),
    fc.record({ kind: fc.constant('reopen' as const), leaf: fc.boolean() }),
    fc.record({ kind: fc.constant('restart' as const) }),
    fc.record({ kind: fc.constant('put' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      let rig = await openBlobStore();
      let reception = await rig.store.openReception(two.blob, two.bytes.length, PLAIN);
      await sendNodes(reception, two);
      for (const each of steps) {
        if (each.kind === 'leaf') await reception.addLeaf(each.leaf, leafOf(two, each.leaf));
        if (each.kind === 'put') await rig.store.put(two.bytes);
        if (each.kind === 'restart' || each.kind === 'reopen') {
          await reception[Symbol.asyncDispose]();
          if (each.kind === 'restart') {
            await rig.store[Symbol.asyncDispose]();
            rig = await openBlobStore({ disk: rig.disk.afterKill(), database: rig.database });
          }
          const options = each.kind === 'reopen' && each.leaf ? PRIVATE : PLAIN;
          reception = await rig.store.openReception(two.blob, two.bytes.length, options);
          await sendNodes(reception, two);
        }
        for (const leaf of [0, 1].filter((place) => reception.hasLeaf(place))) {
          const read = await rig.store.read(two.blob, leaf * MIB, MIB);
          expect(areEqual(read, leafOf(two, leaf))).toBe(true);
        }
      }
      await sendRest(reception, two);
      await reception.commit();
      expect(areEqual(await rig.store.get(two.blob, two.bytes.length), two.bytes)).toBe(true);
    }),
    { numRuns: 12 },
  );
});
