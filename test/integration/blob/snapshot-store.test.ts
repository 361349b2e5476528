import { mkdtemp, open, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OPEN_PACKS } from '../../../src/blob/snapshots/constants.ts';
import { createSnapshotStore, type PackedSnapshotStore } from '../../../src/blob/snapshots/packed-snapshot-store.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { itemOf, leaseOf, writeSnapshot } from '../../support/snapshots.ts';

const LEASE = leaseOf(1);
const keyOf = (step: number) => ({ role: 'holder', lease: LEASE, step }) as const;

let folder = '';
let opened: PackedSnapshotStore[] = [];
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'fogproof-packs-')), 'snapshots');
});
afterEach(async () => {
  for (const store of opened) await store[Symbol.asyncDispose]();
  opened = [];
  await rm(join(folder, '..'), { recursive: true, force: true });
});

async function openStore(database = new MemoryDatabase()): Promise<PackedSnapshotStore> {
  const modules = { clock: new ManualClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const store = await createSnapshotStore({ ...modules, database }, { folder, maxBytes: 2 ** 30 });
  opened.push(store);
  return store;
}

async function expectItem(store: PackedSnapshotStore, item: Uint8Array): Promise<void> {
  const read = await store.readItem(sha256(item));
  expect(read !== undefined && Buffer.compare(read, item) === 0).toBe(true);
}

describe('packs on a real disk', () => {
  it('are private files, read again after a restart, and swept of what was not finished', async () => {
    const database = new MemoryDatabase();
    const store = await openStore(database);
    const items = Array.from({ length: 40 }, (_, index) => itemOf(index, 65_536));
    const entry = await writeSnapshot(store, { key: keyOf(1), items });
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    const [name = ''] = await readdir(folder);
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
    await store[Symbol.asyncDispose]();
    await writeFile(join(folder, '00000000ffff.pack.tmp'), 'left by a crash');
    const again = await openStore(database);
    expect(await readdir(folder)).toEqual([name]);
    expect(again.list({})).toEqual([entry]);
    for (const item of items) await expectItem(again, item);
    await writeSnapshot(again, { key: keyOf(2), items: [itemOf(99)] });
    expect((await readdir(folder)).length).toBe(2);
  });

  it('are more than are kept open, read at the same time as others are brought together', async () => {
    const store = await openStore();
    const steps = Array.from({ length: OPEN_PACKS + 20 }, (_, index) => index + 1);
    for (const step of steps) {
      await writeSnapshot(store, { key: keyOf(step), items: [itemOf(step), itemOf(5_000 + step, 20_000)] });
    }
    const kept = steps.map((step) => itemOf(step));
    await writeSnapshot(store, { key: keyOf(1_000), items: kept });
    await Promise.all(kept.map((item) => expectItem(store, item)));
    let isDone = false;
    const reading = (async () => {
      for (let index = 0; !isDone; index += 1) await expectItem(store, kept[index % kept.length] ?? new Uint8Array());
    })();
    for (const step of steps) await store.release(keyOf(step));
    await store.whenReclaimed();
    isDone = true;
    await reading;
    await Promise.all(kept.map((item) => expectItem(store, item)));
    expect((await readdir(folder)).length).toBeLessThan(20);
    expect(store.usage().bytes).toBeLessThan(200_000);
  });

  it('give no wrong bytes when one bit is another', async () => {
    const store = await openStore();
    await writeSnapshot(store, { key: keyOf(1), items: [itemOf(1)] });
    const [name = ''] = await readdir(folder);
    await using file = await open(join(folder, name), 'r+');
    await file.write(Uint8Array.of(0xff), 0, 1, 500);
    await expect(store.readItem(sha256(itemOf(1)))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    expect(store.list({})).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('close every file that they opened', async () => {
    const store = await openStore();
    for (let step = 1; step <= 5; step += 1) await writeSnapshot(store, { key: keyOf(step), items: [itemOf(step)] });
    for (let step = 1; step <= 5; step += 1) await expectItem(store, itemOf(step));
    const countOpen = async (): Promise<number> => {
      const links = await Promise.all(
        (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      );
      return links.filter((link) => link.startsWith(folder)).length;
    };
    expect(await countOpen()).toBe(5);
    for (const step of [1, 2]) await store.release(keyOf(step));
    await store.whenReclaimed();
    await store[Symbol.asyncDispose]();
    expect(await countOpen()).toBe(0);
  });
});
