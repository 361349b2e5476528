import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STRING_CODEC } from '../../../src/storage/codecs.ts';
import { StorageError } from '../../../src/storage/errors.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { LevelStore } from '../../../src/storage/level-store.ts';
import { holdLock } from '../../../src/storage/repair/hold-lock.ts';
import { findFileDamage, rebuildDatabase } from '../../../src/storage/repair/rebuild-database.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';

const MODULES = { logger: new NoopLogger() };
/** Enough for tables of several blocks, some of them packed, beside a log. */
const OLD = 900;
const NEW = 100;
const valueOf = (index: number, round: number): string =>
  `${index}:${round}:${index % 3 === 0 ? Math.sin(index).toString(36).repeat(20) : 'x'.repeat(200)}`;
const keyOf = (index: number): string => `k${String(index).padStart(5, '0')}`;

let folder: string;
let model: string;
let copies = 0;

/** Tables of entries, some of them deleted and written again, and a log of later ones. */
async function writeModel(path: string): Promise<void> {
  const first = await LevelDatabase.open(path, MODULES);
  const jobs = first.repository('jobs', STRING_CODEC);
  const puts = Array.from({ length: OLD }, (_, index) => jobs.putOperation(keyOf(index), valueOf(index, 0)));
  for (let start = 0; start < OLD; start += 300) await first.write(puts.slice(start, start + 300));
  await first[Symbol.asyncDispose]();
  // Opening writes what is in the log to a table.
  const second = await LevelDatabase.open(path, MODULES);
  const later = second.repository('jobs', STRING_CODEC);
  for (let index = 0; index < NEW; index += 1) {
    await second.write([
      later.putOperation(keyOf(index * 2), valueOf(index * 2, 1)),
      later.deleteOperation(keyOf(index * 2 + 1)),
    ]);
  }
  await second[Symbol.asyncDispose]();
}

/** Of a key: what it may be. Undefined where it is not there. */
function isAllowed(index: number, value: string | undefined): boolean {
  if (value === undefined) return true;
  return value === valueOf(index, 0) || (index < NEW * 2 && index % 2 === 0 && value === valueOf(index, 1));
}

async function readAll(path: string): Promise<Map<string, string>> {
  await using database = await LevelDatabase.open(path, MODULES);
  const found = new Map<string, string>();
  for await (const [key, value] of database.repository('jobs', STRING_CODEC).entries()) found.set(key, value);
  return found;
}

async function copyModel(options: { readonly isClosed: boolean }): Promise<string> {
  copies += 1;
  const path = join(folder, `copy-${copies}`, 'db');
  await cp(model, path, { recursive: true });
  if (options.isClosed) await cp(`${model}.closed`, `${path}.closed`);
  return path;
}

async function findFile(path: string, form: RegExp): Promise<string> {
  for (const name of (await readdir(path)).sort()) {
    const file = join(path, name);
    if (form.test(name) && (await stat(file)).size > 0) return file;
  }
  throw new Error(`no file ${form}`);
}

async function flipBit(file: string, place: number): Promise<void> {
  const bytes = await readFile(file);
  const offset = Math.floor(place * (bytes.length - 1));
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  await writeFile(file, bytes);
}

function startProcess(path: string, action: string) {
  const urlOf = (name: string): string => new URL(`../../../src/storage/${name}`, import.meta.url).href;
  const source = `
    const { LevelStore } = await import('${urlOf('level-store.ts')}');
    const { holdLock } = await import('${urlOf('repair/hold-lock.ts')}');
    const path = process.argv[1];
    const held = ${action};
    console.log('held');
    setInterval(() => held, 1000);`;
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
  return spawn(process.execPath, ['--input-type=module', '--eval', source, path], { stdio });
}

async function repair(path: string) {
  await using _lock = await holdLock(path);
  return await rebuildDatabase(path, { keepAt: `${path}.damaged` });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-damage-'));
  model = join(folder, 'model', 'db');
  await writeModel(model);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const KINDS = { CURRENT: /^CURRENT$/, MANIFEST: /^MANIFEST-/, log: /\.log$/, table: /\.ldb$/ } as const;
const PLACES = [0, 0.37, 0.76, 1];

describe.each(Object.entries(KINDS))('a damaged %s', (kind, form) => {
  it('is refused after a clean stop wherever a bit was changed, and repaired with the loss named', async () => {
    for (const place of PLACES) {
      const path = await copyModel({ isClosed: true });
      await flipBit(await findFile(path, form), place);
      await expect(LevelDatabase.open(path, MODULES), `${kind} at ${place}`).rejects.toMatchObject({
        code: 'STORAGE_CORRUPT',
        hint: expect.stringContaining('node repair'),
      });
      const report = await repair(path);
      const found = await readAll(path);
      for (const [key, value] of found) expect(isAllowed(Number(key.slice(1)), value), key).toBe(true);
      const isWhole = found.size === OLD - NEW;
      if (!isWhole) expect(report.losses.some(({ lost }) => !lost.startsWith('nothing'))).toBe(true);
      // What was damaged is kept as it was.
      expect((await readdir(`${path}.damaged`)).length).toBeGreaterThan(2);
    }
  });

  it('that was cut short after a clean stop is refused', async () => {
    for (const share of [0, 0.7]) {
      const path = await copyModel({ isClosed: true });
      const file = await findFile(path, form);
      await truncate(file, Math.floor((await stat(file)).size * share));
      await expect(LevelDatabase.open(path, MODULES), `${kind} to ${share}`).rejects.toMatchObject({
        code: 'STORAGE_CORRUPT',
      });
      await repair(path);
      for (const [key, value] of await readAll(path)) expect(isAllowed(Number(key.slice(1)), value), key).toBe(true);
    }
  });

  it('gives no wrong value after a crash either', async () => {
    for (const place of PLACES) {
      const path = await copyModel({ isClosed: false });
      await flipBit(await findFile(path, form), place);
      const found = await readAll(path).catch((error: unknown) => error as Error);
      if (!(found instanceof Error)) {
        for (const [key, value] of found) expect(isAllowed(Number(key.slice(1)), value), key).toBe(true);
      } else expect(found).toMatchObject({ code: 'STORAGE_CORRUPT' });
    }
  });

  it('that is missing is refused', async () => {
    const path = await copyModel({ isClosed: false });
    await rm(await findFile(path, form));
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    await repair(path);
    expect((await readAll(path)).size).toBeLessThanOrEqual(OLD);
  });
});

describe('after a crash', () => {
  it('a torn end of the log is left out and kept beside, and all before it is there', async () => {
    const path = await copyModel({ isClosed: false });
    const file = await findFile(path, KINDS.log);
    await truncate(file, (await stat(file)).size - 7);
    const found = await readAll(path);
    expect(found.size).toBe(OLD - NEW + 1);
    expect(found.get(keyOf((NEW - 1) * 2))).toBe(valueOf((NEW - 1) * 2, 0));
    expect(await readdir(`${path}.torn`)).toHaveLength(1);
  });

  it('a log that is damaged in the middle is refused: what was written later is there', async () => {
    const path = await copyModel({ isClosed: false });
    await flipBit(await findFile(path, KINDS.log), 0.2);
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      info: { where: expect.stringMatching(/\.log$/) },
    });
  });
});

describe('repair', () => {
  it('of a whole database changes nothing', async () => {
    const path = await copyModel({ isClosed: true });
    expect(await findFileDamage(path)).toEqual([]);
    const before = await readAll(path);
    expect(before.size).toBe(OLD - NEW);
    expect(await repair(path)).toMatchObject({ losses: [], mayHoldDeleted: false });
    expect(await readAll(path)).toEqual(before);
  });

  it('keeps deleted entries deleted, and the newest value of each, without a list of files', async () => {
    const path = await copyModel({ isClosed: true });
    await rm(await findFile(path, KINDS.MANIFEST));
    expect(await repair(path)).toMatchObject({ mayHoldDeleted: true });
    expect(await readAll(path)).toEqual(await readAll(await copyModel({ isClosed: true })));
  });

  it('is refused while a daemon has the database, and keeps one from opening it', async () => {
    const path = await copyModel({ isClosed: true });
    // Locks of files are between processes.
    const daemon = startProcess(path, 'await LevelStore.open(path)');
    await once(daemon.stdout, 'data');
    await expect(holdLock(path)).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    await rm(`${path}.closed`, { force: true });
    const repairing = startProcess(path, 'await holdLock(path)');
    await once(repairing.stdout, 'data');
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    repairing.kill('SIGKILL');
    await once(repairing, 'exit');
    await (await holdLock(path))[Symbol.asyncDispose]();
    expect((await readAll(path)).size).toBe(OLD - NEW);
  });

  it('that was stopped before its last step is finished by the next opening', async () => {
    const path = await copyModel({ isClosed: true });
    await cp(path, `${path}.repaired`, { recursive: true });
    await rm(path, { recursive: true });
    await rm(`${path}.closed`);
    expect((await readAll(path)).size).toBe(OLD - NEW);
  });
});

describe('an entry whose value changed', () => {
  it('is named when it is read, and can be left out of what is listed', async () => {
    const path = await copyModel({ isClosed: true });
    const store = await LevelStore.open(path);
    const key = `jobs/${keyOf(700)}`;
    const stored = (await store.get(key)) as Uint8Array;
    stored[3] = (stored[3] ?? 0) ^ 1;
    await store.commit([{ type: 'put', key, value: stored }], { isDurable: true });
    await store[Symbol.asyncDispose]();
    await using database = await LevelDatabase.open(path, MODULES);
    const jobs = database.repository('jobs', STRING_CODEC);
    await expect(jobs.get(keyOf(700))).rejects.toMatchObject({ code: 'STORAGE_CORRUPT', info: { where: key } });
    const list = async (damaged?: string[]): Promise<number> => {
      let count = 0;
      const options = damaged === undefined ? {} : { onDamaged: (name: string) => void damaged.push(name) };
      for await (const _ of jobs.entries({}, options)) count += 1;
      return count;
    };
    await expect(list()).rejects.toBeInstanceOf(StorageError);
    const damaged: string[] = [];
    expect(await list(damaged)).toBe(OLD - NEW - 1);
    expect(damaged).toEqual([keyOf(700)]);
  });
});
