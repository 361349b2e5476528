import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { INLINE_MAX_BYTES } from '../../../src/blob/constants.ts';
import { EVICTION_NOTE_CODEC } from '../../../src/blob/eviction-notes.ts';
import { FileBlobStore } from '../../../src/blob/file-blob-store.ts';
import type { FileBlobStoreOptions } from '../../../src/blob/options.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { BYTES_CODEC } from '../../../src/storage/codecs.ts';
import { StorageError } from '../../../src/storage/errors.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const LARGE = INLINE_MAX_BYTES + 1;
const MIB = 2 ** 20;

let folder: string;
let database: MemoryDatabase;
let opened: FileBlobStore[];

class ManualClock implements Clock {
  nowValueMs = 1_000_000;
  nowMs = (): number => this.nowValueMs;
  monotonicMs = (): number => this.nowValueMs;
  schedule = (): Disposable => ({ [Symbol.dispose]: () => {} });
}
const clock = new ManualClock();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-blob-'));
  database = new MemoryDatabase();
  opened = [];
});
afterEach(async () => {
  for (const store of opened) await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function openStore(options: Partial<FileBlobStoreOptions> = {}): Promise<FileBlobStore> {
  const modules = {
    database,
    clock,
    logger: new NoopLogger(),
    metrics: new NoopMetricsRegistry(),
  };
  const store = new FileBlobStore(modules, { directory: join(folder, 'blobs'), maxBytes: 64 * MIB, ...options });
  await store.start();
  opened.push(store);
  return store;
}

function fill(sizeBytes: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let index = 0; index < sizeBytes; index += 1) bytes[index] = (index * 31 + seed * 17 + (index >> 8)) & 0xff;
  return bytes;
}

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncIterable<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) yield bytes.subarray(offset, offset + pieceBytes);
}

/** `toEqual` looks at each byte apart: seconds for some MiB. */
function expectSame(found: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(found, expected)).toBe(0);
}

async function listFiles(): Promise<string[]> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('FileBlobStore', () => {
  it.each([0, 1, INLINE_MAX_BYTES, LARGE, 3 * MIB + 5])(
    'keeps %i bytes under their CID, across a restart',
    async (size) => {
      const bytes = fill(size, 1);
      const first = await openStore();
      const { blob, sizeBytes } = await first.put(bytes);
      expect(blob).toBe(computeBlobId(bytes));
      expect(sizeBytes).toBe(size);
      expectSame(await first.get(blob, size), bytes);
      await first[Symbol.asyncDispose]();
      const second = await openStore();
      expect(await second.stat(blob)).toEqual({ blob, sizeBytes: size });
      expectSame(await second.get(blob, size), bytes);
    },
  );

  it('keeps many small blobs without a file each, and reads hot ones from memory', async () => {
    const store = await openStore();
    const blobs = await Promise.all(Array.from({ length: 500 }, (_, index) => store.put(fill(100, index))));
    expect(new Set(blobs.map(({ blob }) => blob)).size).toBeGreaterThan(200);
    expect(await listFiles()).toEqual([]);
    database.onWrite = () => {
      throw new TypeError('nothing is to be written');
    };
    for (const { blob } of blobs) expect(await store.get(blob, 100)).toHaveLength(100);
    await store.put(fill(100, 3));
    database.onWrite = undefined;
  });

  it('stores a blob once that arrives many times at once', async () => {
    const store = await openStore({ maxBytes: 20 * LARGE });
    const bytes = fill(LARGE, 1);
    await Promise.all(Array.from({ length: 20 }, () => store.put(bytes)));
    expect(await listFiles()).toHaveLength(1);
    const other = await store.put(fill(LARGE, 2));
    expect(await store.stat(other.blob)).toBeDefined();
  });

  it('is not changed by what its callers do to the bytes they gave', async () => {
    const store = await openStore();
    const bytes = fill(50, 1);
    const { blob } = await store.put(bytes);
    bytes.fill(0);
    expect(await store.get(blob, 50)).toEqual(fill(50, 1));
    const part = await store.read(blob, 0, 50);
    part?.fill(0);
    expect(await store.get(blob, 50)).toEqual(fill(50, 1));
  });

  it('says what is not here or larger than the caller takes', async () => {
    const store = await openStore();
    const { blob } = await store.put(fill(100, 1));
    await expect(store.get(computeBlobId(fill(9, 9)), 100)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    await expect(store.get(blob, 99)).rejects.toMatchObject({
      code: 'BLOB_TOO_LARGE',
      info: { sizeBytes: 100, maxBytes: 99 },
    });
    expect(await store.read(computeBlobId(fill(9, 9)), 0, 1)).toBeUndefined();
    expect(await store.stat(computeBlobId(fill(9, 9)))).toBeUndefined();
  });

  it.each([1000, LARGE])('reads any part of %i bytes, and nothing beyond', async (size) => {
    const store = await openStore({ hotBytes: 1000 });
    const bytes = fill(size, 1);
    const { blob } = await store.put(bytes);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: -10, max: size + 10 }),
        fc.integer({ min: -10, max: size + 10 }),
        async (offset, length) => {
          const start = Math.max(0, offset);
          expect(await store.read(blob, offset, length)).toEqual(bytes.slice(start, start + Math.max(0, length)));
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('damage', () => {
  it('on disk is found, told once and removed', async () => {
    const first = await openStore();
    const { blob } = await first.put(fill(LARGE, 1));
    await first[Symbol.asyncDispose]();
    const [path = ''] = await listFiles();
    const content = await readFile(path);
    content[100] = (content[100] ?? 0) ^ 1;
    await writeFile(path, content);
    const store = await openStore();
    await expect(store.get(blob, LARGE)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    await expect(store.get(blob, LARGE)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    expect(await listFiles()).toEqual([]);
    await store.put(fill(LARGE, 1));
    expect(await store.get(blob, LARGE)).toEqual(fill(LARGE, 1));
  });

  it('in the database is found too', async () => {
    const first = await openStore();
    const { blob } = await first.put(fill(100, 1));
    await database.repository('blob-bytes', BYTES_CODEC).put(blob, fill(100, 2));
    const store = await openStore();
    await expect(store.get(blob, 100)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  });

  it('of a file cut short or deleted does not give wrong parts', async () => {
    const store = await openStore();
    const { blob } = await store.put(fill(LARGE, 1));
    const [path = ''] = await listFiles();
    await truncate(path, 10);
    expect(await store.read(blob, 0, 100)).toBeUndefined();
    const { blob: other } = await store.put(fill(LARGE, 2));
    for (const file of await listFiles()) await rm(file);
    await expect(store.get(other, LARGE)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  it('by a crash between file and entry is repaired at the next start', async () => {
    const first = await openStore();
    const { blob } = await first.put(fill(LARGE, 1));
    const gone = await first.put(fill(LARGE, 2));
    await first[Symbol.asyncDispose]();
    await writeFile(join(folder, 'blobs', 'incoming', 'half'), 'x');
    const crashed = database.clone();
    database = new MemoryDatabase();
    for (const file of await listFiles()) if (file.endsWith(gone.blob)) await rm(file);
    const adopting = await openStore();
    await adopting.whenReconciled();
    expect(await adopting.get(blob, LARGE)).toEqual(fill(LARGE, 1));
    expect((await listFiles()).map((file) => file.slice(-blob.length))).toEqual([blob]);
    database = crashed;
    const dropping = await openStore();
    await dropping.whenReconciled();
    expect(await dropping.stat(gone.blob)).toBeUndefined();
    expect(await dropping.stat(blob)).toBeDefined();
  });
});

it('a removal that a kill cut off is ended and noted by the next start, unless the blob was stored again', async () => {
  const first = await openStore();
  const { blob } = await first.put(fill(LARGE, 1));
  const { blob: again } = await first.put(fill(LARGE, 2));
  await first[Symbol.asyncDispose]();
  const incoming = join(folder, 'blobs', 'incoming');
  for (const file of await listFiles()) {
    const leaving = join(incoming, `${basename(file)}.${'0'.repeat(24)}`);
    await (file.endsWith(blob) ? rename(file, leaving) : copyFile(file, leaving));
  }
  const store = await openStore();
  expect(await store.stat(blob)).toBeUndefined();
  expectSame(await store.get(again, LARGE), fill(LARGE, 2));
  expect([...database.rows('blob-evictions').keys()]).toEqual([blob]);
  expect(await readdir(incoming)).toEqual([]);
});

describe('receive', () => {
  it.each([0, 100, LARGE, 2 * MIB])('takes %i bytes in pieces of any size', async (size) => {
    const store = await openStore();
    const bytes = fill(size, 1);
    const blob = computeBlobId(bytes);
    await store.receive(blob, size, inPieces(bytes, 30_000));
    expectSame(await store.get(blob, size), bytes);
    let asked = false;
    await store.receive(blob, size, {
      [Symbol.asyncIterator]: () => {
        asked = true;
        return inPieces(bytes, 1)[Symbol.asyncIterator]();
      },
    });
    expect(asked).toBe(false);
  });

  it.each([100, LARGE])('refuses %i bytes that are others, too many or too few, and keeps nothing', async (size) => {
    const store = await openStore();
    const bytes = fill(size, 1);
    const blob = computeBlobId(bytes);
    const lies: [Uint8Array, number][] = [
      [fill(size, 2), size],
      [bytes, size - 1],
      [bytes, size + 1],
      [fill(size + 1, 1), size],
      [new Uint8Array(0), size],
    ];
    for (const [sent, announced] of lies) {
      await expect(store.receive(blob, announced, inPieces(sent, 1000))).rejects.toMatchObject({
        code: 'BLOB_MISMATCH',
      });
    }
    expect(await store.stat(blob)).toBeUndefined();
    expect(await listFiles()).toEqual([]);
    await store.receive(blob, size, inPieces(bytes, 1000));
    await expect(store.receive(blob, size + 1, inPieces(bytes, 1000))).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
  });

  it('passes on what the sender failed with, ends the sender it refuses, and keeps nothing', async () => {
    const store = await openStore();
    const blob = computeBlobId(fill(LARGE, 1));
    const reset = Object.assign(new TypeError('reset'), { code: 'ECONNRESET', syscall: 'read' });
    const failing = async function* (): AsyncIterable<Uint8Array> {
      yield fill(1000, 1);
      throw reset;
    };
    await expect(store.receive(blob, LARGE, failing())).rejects.toBe(reset);
    let isEnded = false;
    const endless = async function* (): AsyncIterable<Uint8Array> {
      try {
        for (;;) yield fill(1000, 1);
      } finally {
        isEnded = true;
      }
    };
    await expect(store.receive(blob, LARGE, endless())).rejects.toMatchObject({ code: 'BLOB_MISMATCH' });
    expect(isEnded).toBe(true);
    expect(await listFiles()).toEqual([]);
    // No room stays promised to what failed.
    const small = await openStore({ directory: join(folder, 'small'), maxBytes: LARGE });
    await expect(small.receive(blob, LARGE, failing())).rejects.toBe(reset);
    await small.put(fill(LARGE, 5));
  });
});

describe('room', () => {
  it('is made by removing what was used longest ago, across a restart', async () => {
    const first = await openStore({ maxBytes: 3 * LARGE });
    const blobs: BlobId[] = [];
    for (const seed of [1, 2, 3]) {
      blobs.push((await first.put(fill(LARGE, seed))).blob);
      clock.nowValueMs += 1000;
    }
    for (const blob of blobs.slice(0, 1)) await first.get(blob, LARGE);
    await first[Symbol.asyncDispose]();
    const store = await openStore({ maxBytes: 3 * LARGE });
    blobs.push((await store.put(fill(LARGE, 4))).blob);
    const kept = await Promise.all(blobs.map(async (blob) => (await store.stat(blob)) !== undefined));
    expect(kept).toEqual([true, false, true, true]);
    expect(await listFiles()).toHaveLength(3);
  });

  it('is noted together with what had to go for it, until that is stored again', async () => {
    const notes = database.repository('blob-evictions', EVICTION_NOTE_CODEC);
    const store = await openStore({ maxBytes: 2 * LARGE });
    const first = await store.put(fill(LARGE, 1));
    clock.nowValueMs += 1_000;
    for (const seed of [2, 3]) await store.put(fill(LARGE, seed));
    expect(await store.stat(first.blob)).toBeUndefined();
    expect(await notes.get(first.blob)).toEqual({ atMs: clock.nowValueMs });
    await store[Symbol.asyncDispose]();
    const again = await openStore({ maxBytes: 3 * LARGE });
    await again.put(fill(LARGE, 1));
    expect(await notes.get(first.blob)).toBeUndefined();
    await again.remove(first.blob);
    expect(await notes.get(first.blob)).toBeUndefined();
  });

  it('is never made by removing a pinned blob', async () => {
    const store = await openStore({ maxBytes: 2 * LARGE });
    const { blob } = await store.put(fill(LARGE, 1));
    const pin = store.pin(blob);
    const again = store.pin(blob);
    for (let seed = 2; seed < 8; seed += 1) await store.put(fill(LARGE, seed));
    expect(await store.stat(blob)).toBeDefined();
    await expect(store.put(fill(LARGE + 1, 9))).rejects.toMatchObject({ code: 'BLOB_NO_ROOM' });
    pin[Symbol.dispose]();
    pin[Symbol.dispose]();
    await expect(store.put(fill(LARGE + 1, 9))).rejects.toMatchObject({ code: 'BLOB_NO_ROOM' });
    again[Symbol.dispose]();
    await store.put(fill(LARGE + 1, 9));
    expect(await store.stat(blob)).toBeUndefined();
  });

  it('is refused to a blob larger than all of it', async () => {
    const store = await openStore({ maxBytes: MIB });
    await expect(store.put(fill(MIB + 1, 1))).rejects.toMatchObject({ code: 'BLOB_TOO_LARGE' });
    const blob = computeBlobId(fill(1, 1));
    await expect(store.receive(blob, 2 ** 40, inPieces(fill(1, 1), 1))).rejects.toMatchObject({
      code: 'BLOB_TOO_LARGE',
    });
  });

  it('never exceeds its limits, keeps what is pinned and never gives wrong bytes, whatever is done', async () => {
    const seeds = fc.integer({ min: 0, max: 11 });
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('put' as const), seed: seeds }),
        fc.record({ kind: fc.constant('receive' as const), seed: seeds }),
        fc.record({ kind: fc.constant('get' as const), seed: seeds }),
        fc.record({ kind: fc.constant('pin' as const), seed: seeds }),
        fc.record({ kind: fc.constant('unpin' as const), seed: seeds }),
        fc.record({ kind: fc.constant('restart' as const), seed: seeds }),
      ),
      { maxLength: 25 },
    );
    // A third of them go into files.
    const contents = Array.from({ length: 12 }, (_, seed) => fill(seed % 3 === 0 ? LARGE + seed : 9000 + seed, seed));
    const ids = contents.map(computeBlobId);
    const maxBytes = 3 * LARGE;
    let round = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        round += 1;
        database = new MemoryDatabase();
        const directory = join(folder, `round-${round}`);
        let store = await openStore({ directory, maxBytes, maxBlobs: 6 });
        const pins = new Map<number, Disposable>();
        for (const { kind, seed } of sequence) {
          const bytes = contents[seed] ?? new Uint8Array();
          const blob = ids[seed];
          if (blob === undefined) continue;
          const stored = await store.stat(blob);
          if (kind === 'pin' && stored !== undefined && !pins.has(seed)) pins.set(seed, store.pin(blob));
          if (kind === 'unpin') {
            pins.get(seed)?.[Symbol.dispose]();
            pins.delete(seed);
          }
          if (kind === 'put' || kind === 'receive') {
            const storing =
              kind === 'put' ? store.put(bytes) : store.receive(blob, bytes.length, inPieces(bytes, 5000));
            const isStored = await storing.then(
              () => true,
              (error: unknown) => {
                expect(error).toMatchObject({ code: 'BLOB_NO_ROOM' });
                return false;
              },
            );
            if (isStored) expect(await store.get(blob, bytes.length)).toEqual(bytes);
          }
          if (kind === 'get' && stored !== undefined) expect(await store.get(blob, bytes.length)).toEqual(bytes);
          if (kind === 'restart') {
            await store[Symbol.asyncDispose]();
            store = await openStore({ directory, maxBytes, maxBlobs: 6 });
            pins.clear();
          }
          const all = await Promise.all(ids.map((id) => store.stat(id)));
          const present = all.filter((each) => each !== undefined);
          expect(present.length).toBeLessThanOrEqual(6);
          expect(present.reduce((sum, each) => sum + each.sizeBytes, 0)).toBeLessThanOrEqual(maxBytes);
          for (const pinned of pins.keys()) expect(all[pinned]).toBeDefined();
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('putFile', () => {
  it.each([0, 10, LARGE, 2 * MIB + 1])('adds a file of %i bytes', async (size) => {
    const store = await openStore();
    const bytes = fill(size, 1);
    const path = join(folder, 'source');
    await writeFile(path, bytes);
    const { blob, sizeBytes } = await store.putFile(path);
    expect(sizeBytes).toBe(size);
    expect(blob).toBe(computeBlobId(bytes));
    expectSame(await store.get(blob, size), bytes);
    expect(await store.putFile(path)).toEqual({ blob, sizeBytes });
    expect(await readdir(join(folder, 'blobs', 'incoming'))).toEqual([]);
  });

  it('refuses what is no readable file, and follows an abort', async () => {
    const store = await openStore();
    await mkdir(join(folder, 'folder'));
    await symlink('/dev/zero', join(folder, 'device'));
    for (const name of ['none', 'folder', 'device']) {
      await expect(store.putFile(join(folder, name))).rejects.toMatchObject({ code: 'BLOB_SOURCE' });
    }
    await writeFile(join(folder, 'large'), fill(LARGE, 1));
    const signal = AbortSignal.abort();
    await expect(store.putFile(join(folder, 'large'), { signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(await listFiles()).toEqual([]);
  });
});

describe('a disk that fails', () => {
  it('being full is told as BLOB_DISK_FULL, and room is not lost', async () => {
    const store = await openStore({ maxBytes: 2 * LARGE });
    database.onWrite = () => {
      throw new StorageError({ code: 'STORAGE_FULL', path: 'memory' });
    };
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await expect(store.put(fill(LARGE, 1))).rejects.toMatchObject({ code: 'BLOB_DISK_FULL' });
      await expect(store.put(fill(10, 1))).rejects.toMatchObject({ code: 'BLOB_DISK_FULL' });
    }
    database.onWrite = undefined;
    const { blob } = await store.put(fill(LARGE, 1));
    expect(await store.get(blob, LARGE)).toEqual(fill(LARGE, 1));
  });

  it('is told as BLOB_IO when its folder cannot be used', async () => {
    await writeFile(join(folder, 'blobs'), 'in the way');
    await expect(openStore()).rejects.toMatchObject({ code: 'BLOB_IO' });
  });

  it('keeps blobs private', async () => {
    const store = await openStore();
    await store.put(fill(LARGE, 1));
    const [path = ''] = await listFiles();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});
