import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { PackedSnapshotStore } from '../../../../src/blob/snapshots/packed-snapshot-store.ts';
import { JobId } from '../../../../src/domain/ids.ts';
import { encodeObject } from '../../../../src/domain/object-type.ts';
import { SNAPSHOT, type Snapshot, type SnapshotState } from '../../../../src/domain/snapshot.ts';
import { concatBytes, encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { computeObjectId, sha256 } from '../../../../src/lib/cid.ts';
import { sealPiece } from '../../../../src/proofs/snapshot-seal.ts';
import { encodeSnapshotOf } from '../../../../src/scheduler/snapshots/encode-snapshot.ts';
import { openSnapshot } from '../../../../src/scheduler/snapshots/open-snapshot.ts';
import { readResumeState } from '../../../../src/scheduler/snapshots/read-pieces.ts';
import { SnapshotMaker } from '../../../../src/scheduler/snapshots/snapshot-maker.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../src/telemetry/noop-metrics.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';
import { MemoryDisk } from '../../../support/memory-disk.ts';
import { describeState, makeSnapshot, memoryStateOf, type ProgramState } from '../../../support/snapshot-states.ts';
import { itemOf, leaseOf, TEST_JOB } from '../../../support/snapshots.ts';

const KEY = new Uint8Array(32).fill(9);
const PAGE = 65_536;
const page = (seed: number): Uint8Array => itemOf(seed, PAGE);
const OTHER_JOB = JobId(computeObjectId(encodeUtf8('another job')));

let stores: PackedSnapshotStore[] = [];
afterEach(async () => {
  for (const store of stores) await store[Symbol.asyncDispose]();
  stores = [];
});

async function openStore(disk = new MemoryDisk(), database = new MemoryDatabase()) {
  const modules = { clock: new ManualClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const store = new PackedSnapshotStore({ ...modules, disk, database }, { folder: '/packs', maxBytes: 2 ** 30 });
  stores.push(store);
  await store.start();
  return { store, disk, database };
}

function makerOf(store: PackedSnapshotStore, key: Uint8Array | null): SnapshotMaker {
  return new SnapshotMaker({ store }, { job: TEST_JOB, lease: leaseOf(1), key });
}

async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return all;
}

function expectPieces(found: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  // `toEqual` looks at each byte apart.
  const differences = found.map((piece, index) => Buffer.compare(piece, expected[index] ?? new Uint8Array()));
  expect(differences).toEqual(expected.map(() => 0));
}

const expectedOf = ({ checkpoint }: ProgramState) => ({
  job: TEST_JOB,
  step: checkpoint.step,
  stateRoot: checkpoint.stateRoot,
});

describe.each([
  ['a snapshot', null],
  ['a sealed snapshot', KEY],
])('%s', (_name, key) => {
  it('gives back the state that it was made of, its pieces in order', async () => {
    const { store } = await openStore();
    const zeros = new Uint8Array(PAGE);
    const state = memoryStateOf(4, [page(1), zeros, page(2), page(1), zeros], itemOf(7, PAGE + 100));
    const { entry, wanted } = await makeSnapshot(makerOf(store, key), state);
    expect(wanted).toBe(4);
    expect(entry).toMatchObject({ step: 4, role: 'provider', job: TEST_JOB });
    const resume = await readResumeState(store, entry.reference.blob, { key, expected: expectedOf(state) });
    expect(resume).toMatchObject({ step: 4, state: state.checkpoint.state });
    expectPieces(await readAll(resume.pieces), state.pieces);
  });

  it('wants only pieces that are not here, also after a restart', async () => {
    const { store, disk, database } = await openStore();
    const maker = makerOf(store, key);
    const first = memoryStateOf(1, [page(1), page(2), page(3)]);
    const second = memoryStateOf(2, [page(1), page(9), page(3)]);
    expect((await makeSnapshot(maker, first)).wanted).toBe(3);
    const { entry, wanted } = await makeSnapshot(maker, second);
    expect(wanted).toBe(1);
    expect(entry.addedBytes).toBe(PAGE + (key === null ? 0 : 16));
    await store[Symbol.asyncDispose]();
    const { store: again } = await openStore(disk.afterKill(), database.clone());
    const third = await makeSnapshot(makerOf(again, key), memoryStateOf(3, [page(1), page(9), page(4)]));
    // What sealing gives is not known any more; it is found to be here once it was sealed again.
    expect(third.wanted).toBe(key === null ? 1 : 3);
    expect(third.entry.addedBytes).toBe(entry.addedBytes);
  });

  it('refuses a piece of other bytes, and is not there without all pieces', async () => {
    const { store } = await openStore();
    const state = memoryStateOf(1, [page(1), page(2)]);
    await using task = await makerOf(store, key).begin(state.checkpoint, { keptUntilMs: 2e15 });
    await expect(task.receive(0, page(5))).rejects.toMatchObject({
      code: key === null ? 'BLOB_MISMATCH' : 'SNAPSHOT_INVALID',
    });
    await task.receive(0, page(1));
    await expect(task.complete()).rejects.toMatchObject({ code: 'SNAPSHOT_INCOMPLETE' });
    expect(store.list({})).toEqual([]);
  });

  it('of files gives back files', async () => {
    const { store } = await openStore();
    const [large, small] = [itemOf(3, PAGE + 10), itemOf(4, 20)];
    const parts = [large.subarray(0, PAGE), large.subarray(PAGE), small];
    const digests = parts.map((part) => sha256(part));
    const state: SnapshotState = {
      kind: 'files',
      files: [
        { path: '/checkpoint/ROUND', sizeBytes: 20, pieces: digests[2] ?? new Uint8Array() },
        { path: '/checkpoint/weights', sizeBytes: large.length, pieces: concatBytes(...digests.slice(0, 2)) },
      ],
    };
    const described = describeState(3, state, parts);
    const { entry } = await makeSnapshot(makerOf(store, key), described);
    const resume = await readResumeState(store, entry.reference.blob, { key, expected: expectedOf(described) });
    expectPieces(await readAll(resume.pieces), [parts[2], parts[0], parts[1]] as Uint8Array[]);
  });

  it('of a program without pieces is a snapshot too', async () => {
    const { store } = await openStore();
    const state = memoryStateOf(1, [new Uint8Array(PAGE)]);
    const { entry, wanted } = await makeSnapshot(makerOf(store, key), state);
    expect(wanted).toBe(0);
    const resume = await readResumeState(store, entry.reference.blob, { key, expected: expectedOf(state) });
    expect(await readAll(resume.pieces)).toEqual([]);
  });
});

describe('opening', () => {
  const state = memoryStateOf(4, [page(1), page(2)]);
  const { checkpoint } = state;
  const content = { ...checkpoint, job: TEST_JOB, items: checkpoint.pieces };
  const plain = encodeSnapshotOf({ ...content, key: null });
  const sealedItems = concatBytes(...state.pieces.map((piece) => sha256(sealPiece(KEY, sha256(piece), piece))));
  const sealed = encodeSnapshotOf({ ...content, items: sealedItems, key: KEY });
  const expected = expectedOf(state);
  const open = (snapshot: Snapshot, key: Uint8Array | null = null, wanted: object = expected) =>
    openSnapshot(encodeObject(SNAPSHOT, snapshot), { key, expected: wanted });

  it('reads the body of one that is not sealed, or with its key', () => {
    expect(open(plain).body?.stateRoot).toEqual(checkpoint.stateRoot);
    expect(open(sealed, KEY).pieces).toEqual(checkpoint.pieces);
    expect(open(sealed)).toMatchObject({ body: null, pieces: null });
  });

  const other = memoryStateOf(4, [page(1), page(3)]);
  const otherRoot = other.checkpoint.stateRoot;
  it.each([
    ['a step that is not the signed one', () => open({ ...plain, step: 5 }), 'step 5'],
    ['another job', () => open({ ...plain, job: OTHER_JOB }), 'of the job'],
    ['a body of another step', () => open({ ...plain, step: 5 }, null, {}), 'step 4'],
    ['a body of another job', () => open({ ...plain, job: OTHER_JOB }, null, {}), 'of the job'],
    [
      'a state root that is not the signed one',
      () => open(plain, null, { ...expected, stateRoot: otherRoot }),
      'signed',
    ],
    [
      'a state root that its pieces do not give',
      () => open(encodeSnapshotOf({ ...content, stateRoot: otherRoot, key: null }), null, {}),
      'do not give its state root',
    ],
    ['items that are not the pieces', () => open({ ...plain, items: other.checkpoint.pieces }), 'not the pieces'],
    ['fewer items than pieces', () => open({ ...sealed, items: sealedItems.subarray(32) }, KEY), 'not the pieces'],
    ['half a digest', () => open({ ...plain, items: checkpoint.pieces.subarray(1) }), 'not one of digests'],
    ['an item twice', () => open({ ...sealed, items: concatBytes(sealedItems, sealedItems) }), 'twice'],
    ['one that is not sealed though it has to be', () => open(plain, null, { sealed: true }), 'not sealed'],
    ['one that is sealed though it must not be', () => open(sealed, null, { sealed: false }), 'is sealed'],
    ['another key', () => open(sealed, new Uint8Array(32)), 'does not open'],
    ['a body that is none', () => open({ ...plain, body: new Uint8Array(10) }), 'body is malformed'],
  ])('refuses %s', (_name, task, reason) => {
    expect(task).toThrow(expect.objectContaining({ code: 'SNAPSHOT_INVALID' }));
    expect(task).toThrow(reason);
  });

  it('refuses garbage and cut objects with the same code', () => {
    const bytes = encodeObject(SNAPSHOT, plain);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.nat(bytes.length - 1).map((end) => bytes.subarray(0, end)),
        ),
        (garbage) => {
          expect(() => openSnapshot(garbage, { key: null, expected: {} })).toThrow(
            expect.objectContaining({ code: 'SNAPSHOT_INVALID' }),
          );
        },
      ),
    );
  });

  it('lets no changed byte through', () => {
    const bytes = encodeObject(SNAPSHOT, plain);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const changed = bytes.slice();
        changed[place] = (changed[place] ?? 0) ^ change;
        expect(() => openSnapshot(changed, { key: null, expected: { ...expected, sealed: false } })).toThrow(
          expect.objectContaining({ code: 'SNAPSHOT_INVALID' }),
        );
      }),
    );
  });
});

describe('reading pieces', () => {
  it('of a sealed snapshot finds an item that is another piece', async () => {
    const { store } = await openStore();
    const state = memoryStateOf(1, [page(1), page(2)]);
    const swapped = [...state.pieces].reverse().map((piece) => sealPiece(KEY, sha256(piece), piece));
    const items = concatBytes(...swapped.map((item) => sha256(item)));
    const snapshot = encodeSnapshotOf({ ...state.checkpoint, job: TEST_JOB, items, key: KEY });
    await using writer = await store.begin({ role: 'holder', lease: leaseOf(1), step: 1 }, snapshot, {
      keptUntilMs: 2e15,
    });
    for (const [place, item] of swapped.entries()) await writer.add(place, item);
    const { reference } = await writer.commit();
    const resume = await readResumeState(store, reference.blob, { key: KEY, expected: expectedOf(state) });
    await expect(readAll(resume.pieces)).rejects.toMatchObject({ code: 'SNAPSHOT_INVALID' });
  });

  it('says what is gone', async () => {
    const { store } = await openStore();
    const state = memoryStateOf(1, [page(1), page(2)]);
    const { entry } = await makeSnapshot(makerOf(store, null), state);
    const options = { key: null, expected: expectedOf(state) };
    const resume = await readResumeState(store, entry.reference.blob, options);
    await store.release(entry);
    await store.whenReclaimed();
    await expect(readAll(resume.pieces)).rejects.toMatchObject({ code: 'SNAPSHOT_ITEM_GONE' });
    await expect(readResumeState(store, entry.reference.blob, options)).rejects.toMatchObject({
      code: 'SNAPSHOT_GONE',
    });
  });
});
