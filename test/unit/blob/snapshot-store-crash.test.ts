import { describe, expect, it } from 'vitest';
import type { SnapshotKey, SnapshotStore } from '../../../src/blob/interface.ts';
import { PackedSnapshotStore } from '../../../src/blob/snapshots/packed-snapshot-store.ts';
import { areBytesEqual } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import type { Database } from '../../../src/storage/interface.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { Crashed, CrashGate, CrashingDatabase } from '../../support/crash-gate.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { type Choose, MemoryDisk } from '../../support/memory-disk.ts';
import { itemOf, leaseOf, writeSnapshot } from '../../support/snapshots.ts';

const LEASE = leaseOf('a');
const keyOf = (step: number): SnapshotKey => ({ role: 'provider', lease: LEASE, step });
/** Three of each snapshot's items are the next one's too; one in four is larger. */
const itemsOf = (step: number): Uint8Array[] =>
  [0, 1, 2, 3].map((place) => itemOf(step + place, (step + place) % 4 === 0 ? 3_000 : 900));

async function open(disk: MemoryDisk, database: Database) {
  const modules = {
    disk,
    database,
    clock: new ManualClock(),
    logger: new NoopLogger(),
    metrics: new NoopMetricsRegistry(),
  };
  const store = new PackedSnapshotStore(modules, { folder: '/packs', maxBytes: 2 ** 24 });
  await store.start();
  return store;
}

/** What a caller was told, and what it asked for last without an answer. */
interface Told {
  readonly kept: Set<number>;
  readonly released: Set<number>;
}

async function play(store: PackedSnapshotStore, told: Told): Promise<void> {
  const write = async (step: number): Promise<void> => {
    await writeSnapshot(store, { key: keyOf(step), items: itemsOf(step) });
    told.kept.add(step);
  };
  const release = async (step: number): Promise<void> => {
    told.kept.delete(step);
    await store.release(keyOf(step));
    told.released.add(step);
    await store.whenReclaimed();
  };
  for (const step of [1, 2, 3, 4]) await write(step);
  await release(2);
  await release(1);
  await write(6);
  await release(3);
  await write(8);
  await release(6);
  await store.keepUntil(keyOf(4), 3e15);
  await release(4);
}

async function runUntilCrash(gate: CrashGate): Promise<{ told: Told; disk: MemoryDisk; rows: MemoryDatabase }> {
  const told: Told = { kept: new Set(), released: new Set() };
  const [disk, rows] = [new MemoryDisk(gate), new MemoryDatabase()];
  try {
    const store = await open(disk, new CrashingDatabase(rows, gate));
    await play(store, told);
    await store[Symbol.asyncDispose]();
  } catch (error) {
    if (!(error instanceof Crashed)) throw error;
  }
  // What the dead process still has under way comes to its end, without effect.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return { told, disk, rows };
}

async function expectWhole(store: SnapshotStore): Promise<void> {
  for (const entry of store.list({})) {
    expect((await store.readSnapshot(entry.reference.blob))?.length).toBe(entry.reference.sizeBytes);
    for (const item of itemsOf(entry.step)) {
      const read = await store.readItem(sha256(item));
      // `toEqual` looks at each byte apart.
      expect(read !== undefined && areBytesEqual(read, item)).toBe(true);
    }
  }
}

async function expectSound(disk: MemoryDisk, rows: MemoryDatabase, told: Told): Promise<void> {
  const store = await open(disk, rows);
  const steps = store.list({}).map(({ step }) => step);
  for (const step of told.kept) expect(steps).toContain(step);
  for (const step of told.released) expect(steps).not.toContain(step);
  await expectWhole(store);
  await store.whenReclaimed();
  await expectWhole(store);
  const needed = new Set(steps.flatMap((step) => itemsOf(step)).map((item) => item.length));
  if (needed.size === 0) expect(disk.names).toEqual([]);
  expect(disk.names.every((name) => name.endsWith('.pack'))).toBe(true);
  await writeSnapshot(store, { key: keyOf(50), items: itemsOf(3) });
  await store[Symbol.asyncDispose]();
  const again = await open(disk, rows);
  expect(again.list({}).map(({ step }) => step)).toEqual([...steps, 50]);
  await again[Symbol.asyncDispose]();
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
await runUntilCrash(gate);
const EFFECTS = gate.effects;

describe('a store whose process dies', () => {
  it('has enough points to die at', () => {
    expect(EFFECTS).toBeGreaterThan(40);
  });

  it.each([false, true])(
    'at any of its effects (done: %s) has what it told, whole, and nothing else',
    async (isApplied) => {
      for (let after = 0; after < EFFECTS; after += 1) {
        const { told, disk, rows } = await runUntilCrash(new CrashGate({ after, isApplied }));
        await expectSound(disk.afterKill(), rows.clone(), told);
      }
    },
  );

  it('with the power of its machine has what it told, whole, and nothing else', async () => {
    for (let after = 0; after < EFFECTS; after += 1) {
      for (const isApplied of [false, true]) {
        const { told, disk, rows } = await runUntilCrash(new CrashGate({ after, isApplied }));
        const lost = disk.afterPowerCut(createChoose(after));
        await expectSound(lost, rows.clone(), told);
      }
    }
  });

  it('while it starts, starts as well the next time', async () => {
    const first = await runUntilCrash(new CrashGate({ after: EFFECTS - 8, isApplied: true }));
    const counting = new CrashGate();
    await open(first.disk.afterKill(counting), new CrashingDatabase(first.rows.clone(), counting));
    for (let after = 0; after <= counting.effects; after += 1) {
      const [dying, rows] = [new CrashGate({ after, isApplied: after % 2 === 0 }), first.rows.clone()];
      const disk = first.disk.afterKill(dying);
      await open(disk, new CrashingDatabase(rows, dying)).catch((error: unknown) => {
        if (!(error instanceof Crashed)) throw error;
      });
      await expectSound(disk.afterKill(), rows.clone(), first.told);
    }
  });
});
