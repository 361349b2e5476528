import { describe, expect, it } from 'vitest';
import { INLINE_MAX_BYTES } from '../../../src/blob/constants.ts';
import { BlobKeys, LEAF_TAG_BYTES, LeafSeal } from '../../../src/blob/leaf-seal.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import {
  createBlob,
  leafOf,
  openBlobStore,
  type SentBlob,
  STORE_KEY,
  sendNodes,
  sendRest,
} from '../../support/blob-store-rig.ts';
import type { MemoryBlobDisk } from '../../support/memory-blob-disk.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const MIB = BLOB_LEAF_BYTES;
const PRIVATE = { isPrivate: true };
const SIZES = [0, 1, 300, INLINE_MAX_BYTES, INLINE_MAX_BYTES + 1, MIB, MIB + 1];
const NO_CACHE = { hotBytes: 1 };

const areEqual = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;

async function openPrivate(storeKey: Uint8Array | null = STORE_KEY) {
  const database = new MemoryDatabase();
  return { ...(await openBlobStore({ database }, { ...NO_CACHE, storeKey })), database };
}

/** True if any part of a blob lies on the disk in plain. */
function isInPlain({ bytes }: SentBlob, disk: MemoryBlobDisk, database: MemoryDatabase): boolean {
  const needle = Buffer.from(bytes.subarray(0, 24));
  const stored = [...disk.contents, ...database.rows('blob-bytes').values()];
  return stored.some(({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length).includes(needle));
}

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncIterable<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) yield bytes.subarray(offset, offset + pieceBytes);
}

describe('a private blob', () => {
  it.each(SIZES)('of %i bytes is read whole and in parts, over a restart, and lies nowhere in plain', async (size) => {
    const rig = await openPrivate();
    const sent = createBlob(size, size + 1);
    expect(await rig.store.put(sent.bytes, PRIVATE)).toEqual({ blob: sent.blob, sizeBytes: size });
    if (size > 24) expect(isInPlain(sent, rig.disk, rig.database)).toBe(false);
    await rig.store[Symbol.asyncDispose]();
    const { store } = await openBlobStore({ disk: rig.disk, database: rig.database }, NO_CACHE);
    expect(areEqual(await store.get(sent.blob, size), sent.bytes)).toBe(true);
    for (const [offset, length] of [
      [0, size],
      [size - 5, 10],
      [MIB - 3, 6],
    ] as const) {
      const start = Math.max(0, offset);
      expect(await store.read(sent.blob, start, length)).toEqual(sent.bytes.slice(start, start + length));
    }
    expect(await store.verify(sent.blob)).toMatchObject({ damagedLeaves: [] });
  });

  it.each([200, INLINE_MAX_BYTES + 9, MIB + 9])('of %i bytes may come in chunks', async (size) => {
    const { store, disk, database } = await openPrivate();
    const sent = createBlob(size, 5);
    await store.receive(sent.blob, size, inPieces(sent.bytes, 30_000), PRIVATE);
    expect(isInPlain(sent, disk, database)).toBe(false);
    expect(areEqual(await store.get(sent.blob, size), sent.bytes)).toBe(true);
  });

  it.each([200, INLINE_MAX_BYTES + 9, MIB + 9])(
    'of %i bytes that was here in plain is encrypted then, and stays so',
    async (size) => {
      const { store, disk, database } = await openPrivate();
      const sent = createBlob(size, 5);
      await store.put(sent.bytes);
      expect(isInPlain(sent, disk, database)).toBe(true);
      const reading = Promise.all([store.get(sent.blob, size), store.read(sent.blob, 3, 20)]);
      await store.put(sent.bytes, PRIVATE);
      const [whole, part] = await reading;
      expect([areEqual(whole, sent.bytes), areEqual(part, sent.bytes.slice(3, 23))]).toEqual([true, true]);
      expect(isInPlain(sent, disk, database)).toBe(false);
      await store.put(sent.bytes);
      expect(isInPlain(sent, disk, database)).toBe(false);
      expect(areEqual(await store.get(sent.blob, size), sent.bytes)).toBe(true);
    },
  );

  it('and the same in plain, stored at once, end as one that is encrypted', async () => {
    const { store, disk, database } = await openPrivate();
    const sent = createBlob(MIB + 9, 5);
    await Promise.all([store.put(sent.bytes), store.put(sent.bytes, PRIVATE), store.put(sent.bytes)]);
    expect(isInPlain(sent, disk, database)).toBe(false);
    expect(disk.names).toEqual([`${sent.blob}.sealed`]);
  });

  it('of which one sealed leaf was changed is corrupt, and the rest is kept', async () => {
    const { store, disk } = await openPrivate();
    const sent = createBlob(3 * MIB, 5);
    await store.put(sent.bytes, PRIVATE);
    disk.flip({ blob: sent.blob, isSealed: true }, MIB + LEAF_TAG_BYTES + 17);
    expect(await store.read(sent.blob, 5, 10)).toEqual(sent.bytes.slice(5, 15));
    await expect(store.get(sent.blob, 3 * MIB)).rejects.toMatchObject({
      code: 'BLOB_CORRUPT',
      info: { damagedLeaves: 1 },
    });
    expect(store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(0b101));
    await using reception = await store.openReception(sent.blob, 3 * MIB, {});
    await reception.addLeaf(1, sent.bytes.subarray(MIB, 2 * MIB));
    await reception.commit();
    expect(disk.names).toEqual([`${sent.blob}.sealed`]);
    expect(areEqual(await store.get(sent.blob, 3 * MIB), sent.bytes)).toBe(true);
  });

  it('of which two leaves were exchanged is corrupt', async () => {
    const { store, disk, database } = await openPrivate();
    const sent = createBlob(2 * MIB, 5);
    await store.put(sent.bytes, PRIVATE);
    const [file = new Uint8Array()] = disk.contents;
    const half = MIB + LEAF_TAG_BYTES;
    const exchanged = Uint8Array.from(Buffer.concat([file.subarray(half), file.subarray(0, half)]));
    disk.plant({ blob: sent.blob, isSealed: true }, exchanged);
    const { store: again } = await openBlobStore({ disk, database }, NO_CACHE);
    await expect(again.get(sent.blob, 2 * MIB)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  });

  it('in the database that was changed is corrupt', async () => {
    const { store, database } = await openPrivate();
    const sent = createBlob(100, 5);
    await store.put(sent.bytes, PRIVATE);
    const { store: again } = await openBlobStore({ database }, NO_CACHE);
    const row = database.rows('blob-bytes').get(sent.blob) ?? new Uint8Array();
    row[3] = (row[3] ?? 0) ^ 1;
    await expect(again.get(sent.blob, 100)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    await expect(again.get(sent.blob, 100)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  it('is locked to another identity, and still there for the right one', async () => {
    const { disk, database, store } = await openPrivate();
    const blobs = [createBlob(100, 1), createBlob(MIB + 1, 2)];
    for (const { bytes } of blobs) await store.put(bytes, PRIVATE);
    const other = await openBlobStore({ disk, database }, { ...NO_CACHE, storeKey: new Uint8Array(32).fill(8) });
    for (const { blob, bytes } of blobs) {
      await expect(other.store.get(blob, bytes.length)).rejects.toMatchObject({ code: 'BLOB_LOCKED' });
    }
    const none = await openBlobStore({ disk, database }, { ...NO_CACHE, storeKey: null });
    for (const { blob, bytes } of blobs) {
      await expect(none.store.get(blob, bytes.length)).rejects.toMatchObject({ code: 'BLOB_NO_KEY' });
    }
    const right = await openBlobStore({ disk, database }, NO_CACHE);
    for (const { blob, bytes } of blobs) {
      expect(areEqual(await right.store.get(blob, bytes.length), bytes)).toBe(true);
    }
  });

  it('of another identity that was damaged or has arrived in part does not stand in the way', async () => {
    const { disk, database, store } = await openPrivate();
    const [damaged, partial] = [createBlob(MIB + 1, 1), createBlob(MIB + 2, 2)];
    await store.put(damaged.bytes, PRIVATE);
    {
      await using reception = await store.openReception(partial.blob, partial.bytes.length, PRIVATE);
      await sendNodes(reception, partial);
      await reception.addLeaf(1, leafOf(partial, 1));
    }
    await store[Symbol.asyncDispose]();
    disk.truncate({ blob: damaged.blob, isSealed: true }, 100);
    disk.plant({ blob: createBlob(MIB + 3, 3).blob, isSealed: true }, damaged.bytes);
    const other = await openBlobStore({ disk, database }, { ...NO_CACHE, storeKey: new Uint8Array(32).fill(8) });
    // The comparison with the disk came to its end.
    expect(disk.names).toHaveLength(2);
    await using reception = await other.store.openReception(partial.blob, partial.bytes.length, PRIVATE);
    expect(await sendRest(reception, partial)).toBe(2);
    await reception.commit();
    expect(areEqual(await other.store.get(partial.blob, partial.bytes.length), partial.bytes)).toBe(true);
  });

  it('is refused where there is no key', async () => {
    const { store, disk, database } = await openPrivate(null);
    const sent = createBlob(MIB + 1, 2);
    const error = { code: 'BLOB_NO_KEY' };
    await expect(store.put(sent.bytes, PRIVATE)).rejects.toMatchObject(error);
    await expect(store.put(sent.bytes.slice(0, 9), PRIVATE)).rejects.toMatchObject(error);
    await expect(store.openReception(sent.blob, sent.bytes.length, PRIVATE)).rejects.toMatchObject(error);
    expect([disk.contents, database.rows('blobs').size]).toEqual([[], 0]);
    await store.put(sent.bytes);
    await expect(store.put(sent.bytes, PRIVATE)).rejects.toMatchObject(error);
  });

  it('that is removed leaves neither its key nor its bytes', async () => {
    const { store, disk, database } = await openBlobStore({}, { ...NO_CACHE, maxBytes: 3 * MIB }).then((rig) => ({
      ...rig,
      database: rig.database as MemoryDatabase,
    }));
    const sent = createBlob(2 * MIB, 5);
    await store.put(sent.bytes, PRIVATE);
    await store.put(createBlob(2 * MIB, 6).bytes);
    expect(await store.stat(sent.blob)).toBeUndefined();
    expect(disk.names.some((name) => name.startsWith(sent.blob))).toBe(false);
    expect(database.rows('blobs').has(sent.blob)).toBe(false);
    expect([...database.rows('blob-nodes').keys()].some((key) => key.startsWith(sent.blob))).toBe(false);
  });

  it('that a crash left without its key, or in plain beside the encrypted one, is deleted at the next start', async () => {
    const { store, disk, database } = await openPrivate();
    const kept = createBlob(MIB + 1, 5);
    const keyless = createBlob(MIB + 2, 6);
    await store.put(kept.bytes, PRIVATE);
    disk.plant({ blob: kept.blob, isSealed: false }, kept.bytes);
    disk.plant({ blob: keyless.blob, isSealed: true }, keyless.bytes);
    await openBlobStore({ disk, database });
    expect(disk.names).toEqual([`${kept.blob}.sealed`]);
  });
});

describe('the key of a blob', () => {
  const blob = createBlob(5, 1).blob;
  const keys = new BlobKeys({ random: new SystemRandom() }, STORE_KEY);

  it('opens only what it sealed, as that leaf', () => {
    const [seal, other] = [new LeafSeal(keys.create()), new LeafSeal(keys.create())];
    const bytes = Uint8Array.of(1, 2, 3);
    const sealed = seal.seal(2 ** 40, bytes);
    expect(sealed).toHaveLength(3 + LEAF_TAG_BYTES);
    expect(seal.open(2 ** 40, sealed)).toEqual(bytes);
    expect(seal.open(2 ** 40 + 1, sealed)).toBeUndefined();
    expect(other.open(2 ** 40, sealed)).toBeUndefined();
    expect(seal.open(2 ** 40, sealed.subarray(1))).toBeUndefined();
    expect(seal.open(2 ** 40, new Uint8Array(3))).toBeUndefined();
  });

  it('is AES-256-GCM with the leaf as nonce, as another implementation has it', async () => {
    const key = new Uint8Array(32).fill(9);
    const imported = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt']);
    const iv = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4);
    const bytes = Uint8Array.of(5, 6, 7);
    const expected = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, imported, bytes);
    expect(new LeafSeal(key).seal(260, bytes)).toEqual(new Uint8Array(expected));
  });

  it('is wrapped anew each time, and unwrapped for its blob alone', () => {
    const key = keys.create();
    const wrapped = keys.wrap(blob, key);
    expect(wrapped).not.toBe(keys.wrap(blob, key));
    const sealed = new LeafSeal(key).seal(0, Uint8Array.of(1));
    expect(keys.unwrap(blob, wrapped).open(0, sealed)).toEqual(Uint8Array.of(1));
    const other: BlobId = createBlob(6, 2).blob;
    expect(() => keys.unwrap(other, wrapped)).toThrow(expect.objectContaining({ code: 'BLOB_LOCKED' }));
    for (const text of ['', 'AAAA', wrapped.slice(4), `A${wrapped.slice(1)}`, `${wrapped.slice(0, -4)}AAAA`]) {
      if (text === wrapped) continue;
      expect(() => keys.unwrap(blob, text)).toThrow(expect.objectContaining({ code: 'BLOB_LOCKED' }));
    }
  });

  it('of a store has 32 bytes', () => {
    expect(() => new BlobKeys({ random: new SystemRandom() }, new Uint8Array(16))).toThrow(RangeError);
  });
});
