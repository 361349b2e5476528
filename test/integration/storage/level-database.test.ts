import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STRING_CODEC } from '../../../src/storage/codecs.ts';
import { SCHEMA_VERSION } from '../../../src/storage/constants.ts';
import type { Database, WriteOperation, WriteOptions } from '../../../src/storage/interface.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { itIf, type Need } from '../../support/needs.ts';

const MODULES = { logger: new NoopLogger() };
const MODULE_URL = new URL('../../../src/storage/level-database.ts', import.meta.url).href;
const LOGGER_URL = new URL('../../../src/telemetry/noop-logger.ts', import.meta.url).href;
const CODECS_URL = new URL('../../../src/storage/codecs.ts', import.meta.url).href;

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-level-'));
  path = join(folder, 'home', 'db');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A program that opens the database at argv[1] and then runs `body`. */
function program(body: string): string[] {
  const source = `
    const { LevelDatabase } = await import(${JSON.stringify(MODULE_URL)});
    const { NoopLogger } = await import(${JSON.stringify(LOGGER_URL)});
    const { STRING_CODEC } = await import(${JSON.stringify(CODECS_URL)});
    const database = await LevelDatabase.open(process.argv[1], { logger: new NoopLogger() });
    const jobs = database.repository('jobs', STRING_CODEC);
    ${body}`;
  return ['--input-type=module', '--eval', source];
}

describe('LevelDatabase on disk', () => {
  it('keeps what was written after it is opened again', async () => {
    const first = await LevelDatabase.open(path, MODULES);
    await first.repository('jobs', STRING_CODEC).put('a', 'kept');
    await first[Symbol.asyncDispose]();
    await using second = await LevelDatabase.open(path, MODULES);
    expect(await second.repository('jobs', STRING_CODEC).get('a')).toBe('kept');
  });

  it('finishes writes that are under way before it closes', async () => {
    const first = await LevelDatabase.open(path, MODULES);
    const jobs = first.repository('jobs', STRING_CODEC);
    const writes = Array.from({ length: 200 }, (_, index) => jobs.put(`k${index}`, 'x', { durable: true }));
    await first[Symbol.asyncDispose]();
    await Promise.all(writes);
    await using second = await LevelDatabase.open(path, MODULES);
    expect(await second.repository('jobs', STRING_CODEC).get('k199')).toBe('x');
  });

  it('tells an observer of each commit before and after it, and fails the writes that it stops', async () => {
    const told: string[] = [];
    let stops = '';
    const tell = (when: string) => (operations: readonly WriteOperation[], options: WriteOptions) => {
      told.push(`${when} ${operations.map(({ namespace }) => namespace).join(' ')} ${options.durable === true}`);
      if (stops === when) throw new Error('stopped here');
    };
    await using database = await LevelDatabase.open(path, {
      ...MODULES,
      observer: { before: tell('before'), after: tell('after') },
    });
    told.length = 0;
    const jobs = database.repository('jobs', STRING_CODEC);
    const blobs = database.repository('blobs', STRING_CODEC);
    await database.write([jobs.putOperation('a', 'x'), blobs.putOperation('b', 'y')], { durable: true });
    expect(told).toEqual(['before jobs blobs true', 'after jobs blobs true']);
    stops = 'before';
    await expect(jobs.put('not', 'x')).rejects.toThrow('stopped here');
    stops = 'after';
    await expect(jobs.put('yet', 'x')).rejects.toThrow('stopped here');
    stops = '';
    expect([await jobs.get('not'), await jobs.get('yet')]).toEqual([undefined, 'x']);
    await jobs.put('on', 'x');
  });

  it('refuses a folder that is in use and names the process that holds it', async () => {
    await using holder = await LevelDatabase.open(path, MODULES);
    expect(holder.path).toBe(path);
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({
      code: 'STORAGE_LOCKED',
      info: { pid: process.pid },
      hint: expect.stringContaining('node stop'),
    });
  });

  it('is free again after a holder was killed, with the committed writes and its stale pid file', async () => {
    const child = spawn(
      process.execPath,
      [
        ...program(
          `await jobs.put('a', 'committed', { durable: true }); console.log('ready'); setInterval(() => {}, 1000);`,
        ),
        path,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({ info: { pid: child.pid } });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await readFile(`${path}.pid`, 'utf8')).toBe(`${child.pid}\n`);
    await using database = await LevelDatabase.open(path, MODULES);
    expect(await database.repository('jobs', STRING_CODEC).get('a')).toBe('committed');
  });

  it('makes its folder private and removes its pid file', async () => {
    const database = await LevelDatabase.open(path, MODULES);
    expect((await stat(join(folder, 'home'))).mode & 0o777).toBe(0o700);
    await database[Symbol.asyncDispose]();
    await expect(stat(`${path}.pid`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('names a damaged database instead of giving wrong values', async () => {
    const database = await LevelDatabase.open(path, MODULES);
    await database[Symbol.asyncDispose]();
    await writeFile(join(path, 'CURRENT'), 'MANIFEST-999999\n');
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      info: { path },
    });
  });

  it('names a manifest that was cut short', async () => {
    const database = await LevelDatabase.open(path, MODULES);
    await database[Symbol.asyncDispose]();
    for (const name of await readdir(path)) if (name.startsWith('MANIFEST')) await truncate(join(path, name), 0);
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
  });

  it('says that a folder cannot be used when a file is in its place', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(LevelDatabase.open(join(folder, 'file', 'db'), MODULES)).rejects.toMatchObject({ code: 'STORAGE_IO' });
  });
});

describe('migrations', () => {
  const rename = (version: number, from: string, to: string) => ({
    version,
    summary: `${from} becomes ${to}`,
    next: async (database: Database) => {
      const jobs = database.repository('jobs', STRING_CODEC);
      const value = await jobs.get(from);
      const operations = value === undefined ? [] : [jobs.deleteOperation(from), jobs.putOperation(to, value)];
      return { operations, cursor: null };
    },
  });

  it('writes the schema version into a new database', async () => {
    await using database = await LevelDatabase.open(path, MODULES);
    expect(await database.repository('meta', STRING_CODEC).get('schema-version')).toBe(String(SCHEMA_VERSION));
  });

  it('runs every migration after the stored version once, in order', async () => {
    const first = await LevelDatabase.open(path, MODULES, { schema: { version: 1, migrations: [] } });
    await first.repository('jobs', STRING_CODEC).put('one', 'value');
    await first[Symbol.asyncDispose]();
    const migrations = [rename(2, 'one', 'two'), rename(3, 'two', 'three')];
    const second = await LevelDatabase.open(path, MODULES, { schema: { version: 3, migrations } });
    expect(await second.repository('jobs', STRING_CODEC).get('three')).toBe('value');
    await second.repository('jobs', STRING_CODEC).put('one', 'new');
    await second[Symbol.asyncDispose]();
    await using third = await LevelDatabase.open(path, MODULES, { schema: { version: 3, migrations } });
    expect(await third.repository('jobs', STRING_CODEC).get('one')).toBe('new');
  });

  it('refuses a database of a newer program, and gives the lock back', async () => {
    const newer = await LevelDatabase.open(path, MODULES, { schema: { version: 9, migrations: [] } });
    await newer[Symbol.asyncDispose]();
    const open = LevelDatabase.open(path, MODULES);
    await expect(open).rejects.toMatchObject({ code: 'STORAGE_NEWER_SCHEMA', info: { found: 9 } });
    await using again = await LevelDatabase.open(path, MODULES, { schema: { version: 9, migrations: [] } });
    expect(again.path).toBe(path);
  });

  it('refuses a schema version that is none', async () => {
    const first = await LevelDatabase.open(path, MODULES);
    await first.repository('meta', STRING_CODEC).put('schema-version', 'soon');
    await first[Symbol.asyncDispose]();
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      info: { where: 'meta/schema-version' },
    });
  });
});

const canMount =
  spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs none /mnt'], {
    stdio: 'ignore',
  }).status === 0;
const MOUNTS: Need = {
  isMet: canMount,
  kind: 'host',
  reason: 'unshare with user and mount namespaces',
};

/** In a program of its own, on a disk of its own. */
function runOnDisk(size: string, body: string): unknown {
  const mount = `mount -t tmpfs -o size=${size} none "$0" && exec "$@"`;
  const options = ['--user', '--map-root-user', '--mount', 'sh', '-c', mount, folder];
  const run = [...options, process.execPath, ...program(body), path];
  return JSON.parse(execFileSync('unshare', run, { encoding: 'utf8' }));
}

describe('a full disk', () => {
  itIf(MOUNTS, 'is told as STORAGE_FULL, and what was saved before stays readable', () => {
    const body = `
      const value = 'x'.repeat(65536);
      await jobs.put('first', 'kept', { durable: true });
      let code;
      for (let index = 0; index < 200 && code === undefined; index += 1) {
        await jobs.put('k' + index, value + Math.random(), { durable: true }).catch((error) => { code = error.code; });
      }
      console.log(JSON.stringify({ code, first: await jobs.get('first') }));
      await database[Symbol.asyncDispose]();`;
    expect(runOnDisk('2m', body)).toEqual({ code: 'STORAGE_FULL', first: 'kept' });
  });

  itIf(MOUNTS, 'that has room again keeps all that it acknowledges, over a restart too', () => {
    const body = `
      const { rm, writeFile } = await import('node:fs/promises');
      const filler = process.argv[1] + '.filler';
      const codes = [];
      await jobs.put('first', 'kept', { durable: true });
      await writeFile(filler, Buffer.alloc(128 * 1024 * 1024)).catch(() => {});
      for (let index = 0; index < 3; index += 1) {
        await jobs.put('lost' + index, 'x'.repeat(99999), { durable: true }).catch(({ code }) => codes.push(code));
      }
      await rm(filler);
      for (let index = 0; index < 20; index += 1) await jobs.put('after' + index, 'kept', { durable: true });
      await database[Symbol.asyncDispose]();
      const again = await LevelDatabase.open(process.argv[1], { logger: new NoopLogger() });
      const found = [];
      for await (const [key] of again.repository('jobs', STRING_CODEC).entries()) found.push(key);
      console.log(JSON.stringify({ codes, found: found.length, last: found.includes('after19') }));
      await again[Symbol.asyncDispose]();`;
    expect(runOnDisk('64m', body)).toEqual({
      codes: ['STORAGE_FULL', 'STORAGE_FULL', 'STORAGE_FULL'],
      found: 21,
      last: true,
    });
  });
});
