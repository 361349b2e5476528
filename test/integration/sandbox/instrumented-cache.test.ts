import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { computeCacheKey } from '../../../src/sandbox/instrumented-cache/cache-key.ts';
import { decodeEntry, encodeEntry } from '../../../src/sandbox/instrumented-cache/entry-codec.ts';
import { InstrumentedCache } from '../../../src/sandbox/instrumented-cache/instrumented-cache.ts';
import { INSTRUMENTER } from '../../../src/wasm/constants.ts';
import { instrument } from '../../../src/wasm/instrument/instrument.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { buildSteppingModule } from '../../support/stepping-modules.ts';

const OPTIONS = { maxPages: 64, isStepping: true };
const modules = Array.from({ length: 4 }, (_, seed) => instrument(buildSteppingModule(seed).bytes, OPTIONS));
const [module] = modules;
if (module === undefined) throw new TypeError('there are modules');
const key = (name: string | number): string => createHash('sha256').update(String(name)).digest('hex');

describe('an entry of the cache', () => {
  it('gives back what was put in', () => {
    for (const each of modules) expect(decodeEntry(encodeEntry(each) ?? new Uint8Array())).toEqual(each);
  });

  it('is refused with any byte changed, and cut anywhere', () => {
    const entry = encodeEntry(module) ?? new Uint8Array();
    fc.assert(
      fc.property(fc.nat(entry.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = entry.slice();
        damaged[at] = (damaged[at] ?? 0) ^ change;
        expect(decodeEntry(damaged)).toBeNull();
        expect(decodeEntry(entry.subarray(0, at))).toBeNull();
      }),
      { numRuns: 200 },
    );
  });

  it('is refused with a digest that fits and a content that does not', () => {
    const entry = encodeEntry(module) ?? new Uint8Array();
    const magic = entry.subarray(0, 24);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.json().map((text) => Buffer.from(`\0\0\0\u0010${text}`)),
        ),
        (content) => {
          const digest = createHash('sha256').update(content).digest();
          expect(decodeEntry(Buffer.concat([magic, digest, content]))).toBeNull();
        },
      ),
    );
  });
});

describe('the key', () => {
  it('depends on module, instrumenter and options', () => {
    const sha256 = new Uint8Array(32);
    const source = { sha256, instrumenter: INSTRUMENTER, options: OPTIONS };
    const keys = [
      source,
      { ...source, sha256: new Uint8Array(32).fill(1) },
      { ...source, instrumenter: `${INSTRUMENTER}0` },
      { ...source, options: { ...OPTIONS, maxPages: 65 } },
      { ...source, options: { ...OPTIONS, isStepping: false } },
    ].map(computeCacheKey);
    expect(new Set(keys).size).toBe(5);
    expect(computeCacheKey(source)).toBe(keys[0]);
  });
});

describe('the cache on disk', () => {
  let folder: string;
  // Files have their times of the system: of a clock that is ahead of it, what another writer is writing looks abandoned.
  const clock = new ManualClock(Date.now());
  const open = (maxBytes = 10_000_000) => new InstrumentedCache({ clock }, { folder, maxBytes });
  const pathOf = (name: string | number) => join(folder, `${key(name)}.instrumented`);

  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'fogproof-test-')), 'cache', 'instrumented');
  });
  afterEach(async () => await rm(join(folder, '../..'), { recursive: true, force: true }));

  it('keeps a module for other processes, in a folder of this user alone', async () => {
    expect(await open().get(key(0))).toBeNull();
    expect(await open().put(key(0), module)).toBe('stored');
    expect(await open().get(key(0))).toEqual(module);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(pathOf(0))).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['a byte changed', async (path: string) => await flip(path)],
    ['the end missing', async (path: string) => await truncate(path, 500)],
    ['nothing in it', async (path: string) => await writeFile(path, '')],
  ])('removes an entry with %s, and takes it again', async (_name, damage) => {
    const cache = open();
    await cache.put(key(0), module);
    await damage(pathOf(0));
    expect(await cache.get(key(0))).toBeNull();
    expect(await readdir(folder)).toEqual([]);
    await cache.put(key(0), module);
    expect(await cache.get(key(0))).toEqual(module);
  });

  it('lets the entry go that was used longest ago', async () => {
    const sizes = modules.map((each) => encodeEntry(each)?.length ?? 0);
    const cache = open(sizes.reduce((sum, size) => sum + size) - 1);
    for (const [index, each] of modules.slice(0, 3).entries()) {
      await cache.put(key(index), each);
      await clock.advance(1000);
    }
    await cache.get(key(0));
    await clock.advance(1000);
    await cache.put(key(3), modules[3] ?? module);
    const held = await Promise.all([0, 1, 2, 3].map(async (index) => (await cache.get(key(index))) !== null));
    expect(held).toEqual([true, false, true, true]);
  });

  it('does not keep what is larger than all of it may be', async () => {
    const cache = open(100);
    expect(await cache.put(key(0), module)).toBe('too-large');
    expect(await cache.get(key(0))).toBeNull();
  });

  it('sweeps what a write left that never ended, and nothing else', async () => {
    const cache = open();
    await cache.put(key(0), module);
    const [old, young] = [join(folder, '.a.tmp'), join(folder, '.b.tmp')];
    await writeFile(old, 'half');
    await writeFile(young, 'half');
    const now = clock.nowMs() / 1000;
    await utimes(old, now - 4000, now - 4000);
    await utimes(young, now - 60, now - 60);
    await cache.put(key(1), module);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual(['.b.tmp']);
  });

  it('is shared by writers and readers at once', async () => {
    const caches = Array.from({ length: 6 }, () => open(encodeEntry(module)?.length ?? 0));
    const rounds = caches.flatMap((cache, index) => [
      cache.put(key(index % 2), module),
      cache.get(key(0)),
      cache.get(key(1)),
    ]);
    for (const found of await Promise.all(rounds)) expect([module, null, 'stored']).toContainEqual(found);
    expect((await readdir(folder)).every((name) => name.endsWith('.instrumented'))).toBe(true);
  });

  it('that cannot be written to keeps nothing and fails nothing', async () => {
    await writeFile(join(folder, '../..', 'cache'), 'in the way');
    expect(await open().put(key(0), module)).toBe('unwritable');
    expect(await open().get(key(0))).toBeNull();
  });

  it('takes keys only, no paths', async () => {
    await expect(open().get('../../secret')).rejects.toThrow('64 hexadecimal digits');
  });
});

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[300] = (bytes[300] ?? 0) ^ 1;
  await writeFile(path, bytes);
}
