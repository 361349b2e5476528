import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileBlobStore } from '../../../src/blob/file-blob-store.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { createBlob, fillBytes, leafOf, STORE_KEY, sendNodes, sendRest } from '../../support/blob-store-rig.ts';
import { itIf } from '../../support/needs.ts';
import { canMountDisk, MOUNTED_DISKS, mountCommand } from '../../support/small-disk.ts';

const MIB = BLOB_LEAF_BYTES;
const ROOT = join(import.meta.dirname, '../../..');
const areEqual = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;

let folder = '';
let stack: AsyncDisposableStack;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-receptions-'));
  stack = new AsyncDisposableStack();
});
afterEach(async () => {
  await stack.disposeAsync();
  await rm(folder, { recursive: true, force: true });
});

async function openStore() {
  const logger = new NoopLogger();
  const database = stack.use(await LevelDatabase.open(join(folder, 'db'), { logger }));
  const store = stack.use(
    new FileBlobStore(
      { database, clock: new SystemClock(), logger, metrics: new NoopMetricsRegistry() },
      { directory: join(folder, 'blobs'), maxBytes: 256 * MIB, storeKey: STORE_KEY },
    ),
  );
  await store.start();
  await store.whenReconciled();
  return { store, database };
}

async function listFiles(): Promise<string[]> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('a reception on a real disk', () => {
  it.each([false, true])(
    'fills a private file with holes, and is whole after a restart (private: %s)',
    async (isPrivate) => {
      const sent = createBlob(9 * MIB + 5, 1);
      {
        const { store } = await openStore();
        await using reception = await store.openReception(sent.blob, sent.bytes.length, { isPrivate });
        await sendNodes(reception, sent);
        await Promise.all([9, 2, 4].map((leaf) => reception.addLeaf(leaf, leafOf(sent, leaf))));
      }
      await stack.disposeAsync();
      stack = new AsyncDisposableStack();
      const [path = ''] = await listFiles();
      const status = await stat(path);
      expect([status.mode & 0o777, status.size >= sent.bytes.length]).toEqual([0o600, true]);
      // Sparse: what has not arrived takes no room.
      expect(status.blocks * 512).toBeLessThan(4 * MIB);
      const { store } = await openStore();
      expect(store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(0b10100, 0b10));
      await using reception = await store.openReception(sent.blob, sent.bytes.length, {});
      expect(await sendRest(reception, sent)).toBe(7);
      await reception.commit();
      expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
      expect(await store.verify(sent.blob)).toMatchObject({ leafCount: 10, damagedLeaves: [] });
      expect((await listFiles()).length).toBe(1);
    },
  );

  it('of a process that was killed goes on from what was synced', async () => {
    const sent = createBlob(6 * MIB, 3);
    const child = spawn(process.execPath, ['--input-type=module', '--eval', KILLED_PROGRAM, folder], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { store } = await openStore();
    expect(store.partialLeaves(sent.blob)?.leaves).toEqual(Uint8Array.of(0b11));
    await using reception = await store.openReception(sent.blob, sent.bytes.length, {});
    expect(await sendRest(reception, sent)).toBe(4);
    await reception.commit();
    expect(areEqual(await store.get(sent.blob, sent.bytes.length), sent.bytes)).toBe(true);
  });

  it('leaves others their turn while a large file is added', async () => {
    const { store } = await openStore();
    const path = join(folder, 'large');
    await writeFile(path, fillBytes(48 * MIB, 5));
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const { blob } = await store.putFile(path);
    isDone = true;
    // A turn at least for each leaf.
    expect(turns).toBeGreaterThan(48);
    expect(await store.verify(blob)).toMatchObject({ leafCount: 48, damagedLeaves: [] });
  });
});

/** Disposes of two leaves, then adds two more that no sync notes, and waits to be killed. */
const KILLED_PROGRAM = `
  import { join } from 'node:path';
  import { FileBlobStore } from './src/blob/file-blob-store.ts';
  import { SystemClock } from './src/lib/clock.ts';
  import { LevelDatabase } from './src/storage/level-database.ts';
  import { NoopLogger } from './src/telemetry/noop-logger.ts';
  import { NoopMetricsRegistry } from './src/telemetry/noop-metrics.ts';
  import { createBlob, leafOf, sendNodes } from './test/support/blob-store-rig.ts';
  const folder = process.argv[1];
  const logger = new NoopLogger();
  const database = await LevelDatabase.open(join(folder, 'db'), { logger });
  const modules = { database, clock: new SystemClock(), logger, metrics: new NoopMetricsRegistry() };
  const store = new FileBlobStore(modules, { directory: join(folder, 'blobs'), maxBytes: 2 ** 28 });
  await store.start();
  const sent = createBlob(6 * 2 ** 20, 3);
  for (const leaves of [[0, 1], [2, 3]]) {
    const reception = await store.openReception(sent.blob, sent.bytes.length, {});
    await sendNodes(reception, sent);
    for (const leaf of leaves) await reception.addLeaf(leaf, leafOf(sent, leaf));
    if (leaves[0] === 0) await reception[Symbol.asyncDispose]();
  }
  console.log('ready');
  setInterval(() => {}, 1000);`;

describe('a full disk', () => {
  itIf(
    MOUNTED_DISKS,
    'is told as BLOB_DISK_FULL, what is there stays readable, and a reception goes on with room',
    () => {
      expect(canMountDisk).toBe(true);
      const [command, options] = mountCommand(folder, '24m');
      const program = [process.execPath, '--input-type=module', '--eval', FULL_PROGRAM, folder];
      const output = execFileSync(command, [...options, ...program], { cwd: ROOT, encoding: 'utf8' });
      expect(JSON.parse(output)).toEqual({
        codes: ['BLOB_DISK_FULL', 'BLOB_DISK_FULL', 'BLOB_DISK_FULL'],
        isFirstWhole: true,
        incoming: [],
        isReceived: true,
      });
    },
  );
});

const FULL_PROGRAM = `
  import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
  import { join } from 'node:path';
  import { openBlobStore, createBlob, fillBytes, leafOf, sendNodes, sendRest } from './test/support/blob-store-rig.ts';
  import { BlobFiles } from './src/blob/blob-files.ts';
  const MIB = 2 ** 20;
  const folder = process.argv[1];
  const directory = join(folder, 'blobs');
  const { store } = await openBlobStore({ disk: new BlobFiles({ directory }) }, { directory, hotBytes: 1 });
  const first = createBlob(4 * MIB, 1);
  await store.put(first.bytes);
  const received = createBlob(8 * MIB, 2);
  const source = join(folder, 'filler');
  await writeFile(source, fillBytes(15 * MIB, 9));
  const codes = [];
  const note = (error) => codes.push(error.code);
  await store.put(createBlob(9 * MIB, 3).bytes).catch(note);
  await store.putFile(source).catch(note);
  const reception = await store.openReception(received.blob, received.bytes.length, {});
  await sendNodes(reception, received);
  try {
    for (let leaf = 0; leaf < 8; leaf += 1) await reception.addLeaf(leaf, leafOf(received, leaf));
  } catch (error) {
    note(error);
  }
  const isFirstWhole = Buffer.compare(await store.get(first.blob, 4 * MIB), first.bytes) === 0;
  const incoming = await readdir(join(directory, 'incoming'));
  await rm(source);
  await sendRest(reception, received);
  await reception.commit();
  const isReceived = Buffer.compare(await store.get(received.blob, 8 * MIB), received.bytes) === 0;
  console.log(JSON.stringify({ codes, isFirstWhole, incoming, isReceived }));`;
