import { describe, expect, it } from 'vitest';
import { INLINE_MAX_BYTES, RECEPTION_SYNC_MS } from '../../../src/blob/constants.ts';
import type { FileBlobStore } from '../../../src/blob/file-blob-store.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { createBlob, leafOf, openBlobStore, type SentBlob, sendNodes, sendRest } from '../../support/blob-store-rig.ts';
import { Crashed, CrashGate, CrashingDatabase } from '../../support/crash-gate.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryBlobDisk } from '../../support/memory-blob-disk.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import type { Choose } from '../../support/memory-disk.ts';

const MIB = BLOB_LEAF_BYTES;
const PRIVATE = { isPrivate: true };
const BLOBS = {
  received: createBlob(MIB + 5, 1),
  secret: createBlob(MIB + 7, 2),
  sealedFile: createBlob(INLINE_MAX_BYTES + 20, 3),
  sealedRow: createBlob(200, 4),
  madePrivate: createBlob(INLINE_MAX_BYTES + 30, 5),
  madePrivateRow: createBlob(300, 6),
  evicted: createBlob(INLINE_MAX_BYTES + 40, 7),
} satisfies Record<string, SentBlob>;
type Name = keyof typeof BLOBS;
/** Never in plain on the disk, not for a moment. */
const ALWAYS_SECRET: readonly Name[] = ['secret', 'sealedFile', 'sealedRow'];

/** What a caller was told. */
interface Told {
  readonly kept: Set<Name>;
  readonly secret: Set<Name>;
  /** Leaves of `received` that were here when its reception was disposed of. */
  leaves: readonly number[];
}

async function play(store: FileBlobStore, clock: ManualClock, told: Told): Promise<void> {
  const { received, secret, sealedFile, sealedRow, madePrivate, madePrivateRow, evicted } = BLOBS;
  {
    await using reception = await store.openReception(received.blob, received.bytes.length, {});
    await sendNodes(reception, received);
    await clock.advance(RECEPTION_SYNC_MS);
    await reception.addLeaf(1, leafOf(received, 1));
  }
  told.leaves = [1];
  await store.put(sealedFile.bytes, PRIVATE);
  told.kept.add('sealedFile');
  {
    await using reception = await store.openReception(received.blob, received.bytes.length, {});
    await sendRest(reception, received);
    await reception.commit();
    told.kept.add('received');
  }
  await store.put(sealedRow.bytes, PRIVATE);
  told.kept.add('sealedRow');
  for (const name of ['madePrivate', 'madePrivateRow'] as const) {
    await store.put(BLOBS[name].bytes);
    told.kept.add(name);
    await store.put(BLOBS[name].bytes, PRIVATE);
    told.secret.add(name);
  }
  await clock.advance(1);
  await store.put(evicted.bytes);
  for (const { blob } of [received, sealedFile, sealedRow, madePrivate, madePrivateRow]) await store.read(blob, 0, 1);
  {
    await using reception = await store.openReception(secret.blob, secret.bytes.length, PRIVATE);
    await sendNodes(reception, secret);
    await reception.addLeaf(0, leafOf(secret, 0));
  }
  {
    await using reception = await store.openReception(secret.blob, secret.bytes.length, PRIVATE);
    await sendRest(reception, secret);
    await reception.commit();
    told.kept.add('secret');
  }
}

/** No room for `evicted` beside the others. */
const MAX_BYTES = Object.values(BLOBS).reduce((sum, { bytes }) => sum + bytes.length, 0) - 10;

async function open(disk: MemoryBlobDisk, database: MemoryDatabase | CrashingDatabase, clock = new ManualClock()) {
  return (await openBlobStore({ disk, database, clock }, { maxBytes: MAX_BYTES, hotBytes: 1000 })).store;
}

const areEqual = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;

function holds(haystacks: readonly Uint8Array[], { bytes }: SentBlob): boolean {
  const needle = Buffer.from(bytes.subarray(8, 40));
  return haystacks.some(({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length).includes(needle));
}

async function runUntilCrash(gate: CrashGate): Promise<{ told: Told; disk: MemoryBlobDisk; rows: MemoryDatabase }> {
  const told: Told = { kept: new Set(), secret: new Set(), leaves: [] };
  const [disk, rows, clock] = [new MemoryBlobDisk(gate), new MemoryDatabase(), new ManualClock()];
  try {
    const store = await open(disk, new CrashingDatabase(rows, gate), clock);
    await play(store, clock, told);
    await store[Symbol.asyncDispose]();
  } catch (error) {
    const first = error instanceof SuppressedError ? rootOf(error) : error;
    if (!(first instanceof Crashed)) throw error;
  }
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  for (const name of ALWAYS_SECRET) {
    expect(holds([...disk.contents, ...rows.rows('blob-bytes').values()], BLOBS[name])).toBe(false);
  }
  return { told, disk, rows };
}

/** What failed first, of failures while disposing after a failure. */
function rootOf(error: unknown): unknown {
  return error instanceof SuppressedError ? rootOf(error.suppressed) : error;
}

async function expectSound(disk: MemoryBlobDisk, rows: MemoryDatabase, told: Told): Promise<void> {
  const store = await open(disk, rows);
  for (const [name, { blob, bytes }] of Object.entries(BLOBS)) {
    const isHere = (await store.stat(blob)) !== undefined;
    if (told.kept.has(name as Name)) expect([name, isHere]).toEqual([name, true]);
    if (isHere) expect(areEqual(await store.get(blob, bytes.length), bytes)).toBe(true);
  }
  const contents = [...disk.contents, ...rows.rows('blob-bytes').values()];
  for (const name of told.secret) expect([name, holds(contents, BLOBS[name])]).toEqual([name, false]);
  for (const name of ['received', 'secret'] as const) await expectGoesOn(store, BLOBS[name], name, told);
  const known = new Set<string>();
  for (const { blob } of Object.values(BLOBS)) if ((await store.stat(blob)) !== undefined) known.add(blob);
  for (const name of disk.names) expect(known.has(name.replace('.sealed', ''))).toBe(true);
  for (const key of rows.rows('blob-nodes').keys()) expect(known.has(key.split('/')[0] ?? '')).toBe(true);
  expect(rows.rows('blob-receptions').size).toBe(0);
  expect(disk.openFiles).toBe(0);
  await store[Symbol.asyncDispose]();
}

/** What is here of a blob in part is right, and the rest can be added. */
async function expectGoesOn(store: FileBlobStore, sent: SentBlob, name: Name, told: Told): Promise<void> {
  const blob: BlobId = sent.blob;
  const isHere = (await store.stat(blob)) !== undefined;
  await using reception = await store.openReception(blob, sent.bytes.length, name === 'secret' ? PRIVATE : {});
  for (let leaf = 0; leaf < reception.leafCount; leaf += 1) {
    if (name === 'received' && !isHere && told.leaves.includes(leaf)) expect(reception.hasLeaf(leaf)).toBe(true);
    if (!reception.hasLeaf(leaf)) continue;
    const read = await store.read(blob, leaf * MIB, MIB);
    expect(areEqual(read, leafOf(sent, leaf))).toBe(true);
  }
  await sendRest(reception, sent);
  await reception.commit();
  expect(areEqual(await store.get(blob, sent.bytes.length), sent.bytes)).toBe(true);
}

/** Repeatable. */
function createChoose(seed: number): Choose {
  let state = seed + 1;
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % bound;
  };
}

const gate = new CrashGate();
const whole = await runUntilCrash(gate);
const EFFECTS = gate.effects;

describe('a blob store whose process dies', () => {
  it('has enough points to die at, and else comes to its end', () => {
    expect(EFFECTS).toBeGreaterThan(40);
    expect([...whole.told.kept].sort()).toEqual(
      Object.keys(BLOBS)
        .filter((name) => name !== 'evicted')
        .sort(),
    );
  });

  it('at any of its effects has what it told, and no plain copy', async () => {
    for (let after = 0; after < EFFECTS; after += 1) {
      const { told, disk, rows } = await runUntilCrash(new CrashGate({ after, isApplied: false }));
      await expectSound(disk.afterKill(), rows, told);
    }
  }, 60_000);

  it('with the power of its machine has what it told, and what is noted as here', async () => {
    for (let after = 0; after < EFFECTS; after += 1) {
      const { told, disk, rows } = await runUntilCrash(new CrashGate({ after, isApplied: true }));
      // The worst: names and lengths stay, and of the bytes that were not synced none does.
      await expectSound(
        disk.afterPowerCut(() => 0),
        rows.clone(),
        told,
      );
      await expectSound(disk.afterPowerCut(createChoose(after)), rows, told);
    }
  }, 60_000);
});
