import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BLOB_ENTRY_CODEC } from '../../../src/blob/entry-codec.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import { LocalIdentity } from '../../../src/identity/local-identity.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { NodeBackups } from '../../../src/node/backup/node-backups.ts';
import { restoreBackup } from '../../../src/node/backup/restore-backup.ts';
import { encodeTarHeader, TAR_BLOCK_BYTES } from '../../../src/node/backup/tar-header.ts';
import { verifyBackup } from '../../../src/node/backup/verify-backup.ts';
import { BYTES_CODEC, STRING_CODEC } from '../../../src/storage/codecs.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import {
  createSimulatedKey,
  encodeSimulatedKey,
  readSimulatedKey,
} from '../../../src/tee/produce/simulated/key-file.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';

const LOGGER = { logger: new NoopLogger() };
const { signal } = new AbortController();
const FILES = 300;

let folder: string;
let home: string;
let database: LevelDatabase;
let identity: LocalIdentity;
let backups: NodeBackups;
let whole: string;

async function create(path: string, hasBlobs = true) {
  let last: unknown;
  for await (const event of backups.create({ path, hasBlobs }, signal)) last = event;
  return last;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-backup-'));
  home = join(folder, 'home');
  await mkdir(join(home, 'blobs', 'ab'), { recursive: true });
  await mkdir(join(home, 'blobs', 'incoming'));
  await mkdir(join(home, 'networks'));
  await mkdir(join(home, 'snapshots'));
  database = await LevelDatabase.open(join(home, 'db'), LOGGER);
  const jobs = database.repository('jobs', STRING_CODEC);
  await database.write(Array.from({ length: 5_000 }, (_, index) => jobs.putOperation(`k${index}`, `v${index}`)));
  await database.repository('blob-bytes', BYTES_CODEC).put('large', new Uint8Array(5 * 1024 * 1024).fill(7));
  for (let index = 0; index < FILES; index += 1) {
    await writeFile(join(home, 'blobs', 'ab', `b${index}`), `content ${index}`);
  }
  await writeFile(join(home, 'blobs', 'ab', 'big'), Buffer.alloc(700_001, 3));
  await writeFile(join(home, 'blobs', 'incoming', 'half'), 'not yet');
  await writeFile(join(home, 'snapshots', '1.pack.tmp'), 'not yet');
  await writeFile(join(home, 'snapshots', '1.pack'), 'pack');
  await writeFile(join(home, 'networks', 'n.json'), '{}');
  await mkdir(join(home, 'simulated-tees'));
  const simulatedKey = encodeSimulatedKey(createSimulatedKey(new SystemRandom()));
  await writeFile(join(home, 'simulated-tees', 'n.json'), simulatedKey, { mode: 0o600 });
  await writeFile(join(home, 'config.yaml'), 'log: {}\n');
  await writeFile(join(home, 'identity.age'), 'encrypted');
  await writeFile(join(home, 'node.log'), 'log');
  identity = await LocalIdentity.fromSeed(new Uint8Array(32).fill(5));
  backups = new NodeBackups({ identity, database, clock: new SystemClock() }, { home });
  whole = join(folder, 'whole.tar');
  expect(await create(whole)).toMatchObject({ kind: 'done', path: whole, entries: 5_003, missing: 0 });
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('a backup', () => {
  it('is restored as it was, but for what is made anew', async () => {
    const target = join(folder, 'restored');
    const { head, end } = await restoreBackup(whole, { home: target, signal });
    expect(head).toMatchObject({ peer: identity.peer, hasBlobs: true });
    expect(end.files).toBeGreaterThan(FILES);
    expect((await readdir(target)).sort()).toEqual([
      'blobs',
      'config.yaml',
      'db',
      'db.closed',
      'identity.age',
      'networks',
      'simulated-tees',
      'snapshots',
    ]);
    expect(await readdir(join(target, 'blobs'))).toEqual(['ab']);
    expect(await readdir(join(target, 'snapshots'))).toEqual(['1.pack']);
    expect((await readFile(join(target, 'blobs', 'ab', 'big'))).equals(Buffer.alloc(700_001, 3))).toBe(true);
    expect(await readFile(join(target, 'blobs', 'ab', 'b290'), 'utf8')).toBe('content 290');
    expect((await stat(target)).mode & 0o777).toBe(0o700);
    expect((await stat(join(target, 'identity.age'))).mode & 0o777).toBe(0o600);
    // A node refuses one that others may read.
    const keyFile = join('simulated-tees', 'n.json');
    expect(await readSimulatedKey(join(target, keyFile))).toEqual(await readSimulatedKey(join(home, keyFile)));
    await using copy = await LevelDatabase.open(join(target, 'db'), LOGGER);
    expect(await copy.repository('jobs', STRING_CODEC).get('k4999')).toBe('v4999');
    expect((await copy.repository('blob-bytes', BYTES_CODEC).get('large'))?.length).toBe(5 * 1024 * 1024);
  });

  it('is of one moment, whatever is written meanwhile', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    await database.write([jobs.putOperation('left', '0'), jobs.putOperation('right', '0')]);
    const path = join(folder, 'moment.tar');
    let round = 0;
    for await (const event of backups.create({ path, hasBlobs: false }, signal)) {
      round += 1;
      const value = String(round);
      await database.write([jobs.putOperation('left', value), jobs.putOperation('right', value)]);
      expect(event.kind).toBeDefined();
    }
    const target = join(folder, 'moment');
    await restoreBackup(path, { home: target, signal });
    await using copy = await LevelDatabase.open(join(target, 'db'), LOGGER);
    const restored = copy.repository('jobs', STRING_CODEC);
    expect(await restored.get('left')).toBe('0');
    expect(await restored.get('right')).toBe('0');
    await expect(stat(join(target, 'blobs'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('says how many blobs its database names that are not in it as they are named', async () => {
    const other = join(folder, 'changing');
    const blobs = [1, 2, 3, 4].map((seed) => computeBlobId(new Uint8Array(20_000).fill(seed)));
    const [kept = '', evicted = '', sealed = '', small = ''] = blobs;
    const pathOf = (blob: string): string => join(other, 'blobs', blob.slice(-2), blob);
    for (const blob of [kept, evicted, sealed]) {
      await mkdir(dirname(pathOf(blob)), { recursive: true });
      await writeFile(pathOf(blob), 'content');
    }
    await using named = await LevelDatabase.open(join(other, 'db'), LOGGER);
    const rows = named.repository('blobs', BLOB_ENTRY_CODEC);
    const row = { sizeBytes: 20_000, lastUseMs: 1, episodeMs: 1, heat: null, sealedKey: null };
    for (const blob of blobs) await rows.put(blob, { ...row, place: blob === small ? 'database' : 'file' });
    const changing = {
      copy: () => {
        const copy = named.copy();
        return {
          entries: async function* () {
            yield* copy.entries();
            await rm(pathOf(evicted));
            await rename(pathOf(sealed), `${pathOf(sealed)}.sealed`);
          },
          [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose](),
        };
      },
    };
    const own = new NodeBackups({ identity, database: changing, clock: new SystemClock() }, { home: other });
    const told: unknown[] = [];
    const path = join(folder, 'changing.tar');
    for await (const event of own.create({ path, hasBlobs: true }, signal)) told.push(event);
    expect(told.at(-1)).toMatchObject({ kind: 'done', missing: 2 });
    expect((await verifyBackup(path, { signal })).end.missing).toBe(2);
    const without: unknown[] = [];
    const bare = { path: join(folder, 'bare.tar'), hasBlobs: false };
    const still = new NodeBackups({ identity, database: named, clock: new SystemClock() }, { home: other });
    for await (const event of still.create(bare, signal)) without.push(event);
    expect(without.at(-1)).toMatchObject({ kind: 'done', missing: 0 });
  });

  it('can be listed by tar, is for its owner alone, and replaces no file', async () => {
    const listed = execFileSync('tar', ['tf', whole], { encoding: 'utf8' }).trim().split('\n');
    expect(listed[0]).toBe('fogproof-backup.json');
    expect(listed.slice(-2)).toEqual(['end.json', 'end.sig']);
    expect(listed).toContain('home/identity.age');
    expect((await stat(whole)).mode & 0o777).toBe(0o600);
    await expect(create(whole)).rejects.toMatchObject({
      code: 'NODE_BACKUP_UNWRITABLE',
      message: expect.stringContaining('is there already'),
    });
    await expect(create(join(folder, 'nowhere', 'x.tar'))).rejects.toMatchObject({ code: 'NODE_BACKUP_UNWRITABLE' });
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('that is not there is no damaged one', async () => {
    await expect(verifyBackup(join(folder, 'nowhere.tar'), { signal })).rejects.toMatchObject({
      code: 'NODE_BACKUP_UNREADABLE',
    });
  });

  it('is written one at a time, and given up when nobody wants it', async () => {
    const first = backups.create({ path: join(folder, 'first.tar'), hasBlobs: true }, AbortSignal.abort());
    await expect(first.next()).rejects.toThrow();
    const running = backups.create({ path: join(folder, 'second.tar'), hasBlobs: true }, signal);
    const begun = running.next();
    await expect(create(join(folder, 'third.tar'))).rejects.toMatchObject({ code: 'NODE_BACKUP_RUNNING' });
    await begun;
    await running.return(undefined);
    expect((await readdir(folder)).filter((name) => /first|third|\.tmp/.test(name))).toEqual([]);
  });
});

describe('a backup that is not as it was written', () => {
  async function expectRefused(path: string, where?: unknown): Promise<void> {
    await expect(verifyBackup(path, { signal })).rejects.toMatchObject({
      code: 'NODE_BACKUP_DAMAGED',
      ...(where === undefined ? {} : { info: { where } }),
    });
  }

  async function copyOf(change: (bytes: Buffer) => Buffer): Promise<string> {
    const path = join(folder, 'changed.tar');
    await writeFile(path, change(await readFile(whole)));
    return path;
  }

  /** Where the content of a file begins. */
  function findContent(bytes: Buffer, name: string): number {
    for (let offset = 0; offset < bytes.length; offset += TAR_BLOCK_BYTES) {
      if (bytes.toString('latin1', offset, offset + name.length + 1) === `${name}\0`) return offset + TAR_BLOCK_BYTES;
    }
    throw new TypeError(`no file ${name}`);
  }

  it.each(['home/blobs/ab/b150', 'home/identity.age'])('names %s if that was changed', async (name) => {
    const path = await copyOf((bytes) => {
      const at = findContent(bytes, name);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    });
    await expectRefused(path, name);
    const target = join(folder, 'refused');
    await expect(restoreBackup(path, { home: target, signal })).rejects.toMatchObject({ code: 'NODE_BACKUP_DAMAGED' });
    expect((await readdir(folder)).filter((found) => found.includes('refused'))).toEqual([]);
  });

  it('is refused cut short, wherever', async () => {
    const { size } = await stat(whole);
    for (const share of [0, 0.001, 0.3, 0.8, 0.9999]) {
      const path = await copyOf((bytes) => bytes);
      await truncate(path, Math.floor(size * share));
      await expectRefused(path);
    }
  });

  it('is refused with something behind it, or put into it', async () => {
    await expectRefused(await copyOf((bytes) => Buffer.concat([bytes, Buffer.alloc(512)])));
    const extra = (name: string): Uint8Array => Buffer.concat([encodeTarHeader({ name, sizeBytes: 0 }, 0)]);
    const put = (name: string) =>
      copyOf((bytes) => {
        const at = findContent(bytes, 'end.json') - TAR_BLOCK_BYTES;
        return Buffer.concat([bytes.subarray(0, at), extra(name), bytes.subarray(at)]);
      });
    await expectRefused(await put('home/blobs/ab/more'), 'end.json');
    await expectRefused(await put('home/node.sock'), 'home/node.sock');
    await expectRefused(await put('etc/passwd'), 'etc/passwd');
  });

  it('is refused if another node signed it, or nobody', async () => {
    const other = await LocalIdentity.fromSeed(new Uint8Array(32).fill(6));
    const forged = join(folder, 'forged.tar');
    const forger = new NodeBackups(
      {
        identity: { peer: identity.peer, seal: (...given) => other.seal(...given) },
        database,
        clock: new SystemClock(),
      },
      { home },
    );
    for await (const _ of forger.create({ path: forged, hasBlobs: false }, signal));
    await expectRefused(forged, 'end.sig');
    await expectRefused(
      await copyOf((bytes) => {
        const at = findContent(bytes, 'end.sig') - TAR_BLOCK_BYTES;
        return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(2 * TAR_BLOCK_BYTES)]);
      }),
      'its end',
    );
  });

  it('is not put over a folder that holds something', async () => {
    const full = join(folder, 'full');
    await mkdir(full);
    await writeFile(join(full, 'x'), '');
    await expect(restoreBackup(whole, { home: full, signal })).rejects.toMatchObject({
      code: 'NODE_RESTORE_NOT_EMPTY',
    });
    expect(await readdir(full)).toEqual(['x']);
  });

  it('of a newer program is refused', async () => {
    // As long as the version that is in it, so that only the hash is another: it is refused before that is seen.
    const path = await copyOf((bytes) => {
      const at = findContent(bytes, 'fogproof-backup.json');
      const text = bytes.toString('latin1', at, at + 400).replace(/"schemaVersion": \d/, '"schemaVersion": 9');
      bytes.write(text, at, 'latin1');
      return bytes;
    });
    await expect(verifyBackup(path, { signal })).rejects.toMatchObject({ code: 'NODE_NEWER_DATA', info: { found: 9 } });
  });
});
