import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KNOWN_PEER_CODEC } from '../../../src/network/peers/known-peers.ts';
import { repairHome } from '../../../src/node/repair/repair-home.ts';
import { EXAMPLE_JOB, EXAMPLE_LEASE, EXAMPLE_PEER } from '../../../src/rpc/schema/common.ts';
import { encodeEntry } from '../../../src/scheduler/job-records.ts';
import { BYTES_CODEC } from '../../../src/storage/codecs.ts';
import type { Database } from '../../../src/storage/interface.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { LevelStore } from '../../../src/storage/level-store.ts';
import { addChecksums } from '../../../src/storage/migrations/add-checksums.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MODULES = { clock: new ManualClock(), logger: new NoopLogger() };
const encoder = new TextEncoder();
/** The migration to checksums, killed after four entries. */
const CUT_OFF = {
  version: 2,
  migrations: [
    {
      version: 2,
      summary: 'killed',
      next: async (database: Database, cursor: string | null) => {
        if (cursor !== null) throw new Error('killed');
        return await addChecksums(database, cursor, { maxEntries: 4, maxBytes: 1_024 });
      },
    },
  ],
};

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'fogproof-repair-'));
  await using database = await LevelDatabase.open(join(home, 'db'), MODULES);
  const put = (namespace: 'known-peers' | 'poison-jobs' | 'job-history', key: string, value: Uint8Array) =>
    database.repository(namespace, BYTES_CODEC).put(key, value, { durable: true });
  await put('known-peers', EXAMPLE_PEER, KNOWN_PEER_CODEC.encode({ addresses: [], lastSuccessMs: 1 }));
  await put('poison-jobs', EXAMPLE_JOB, encoder.encode(JSON.stringify({ crashes: 2, lastAtMs: 1 })));
  for (const sequence of [0, 1, 2]) {
    const event = encodeEntry([{ kind: 'cancel-requested', atMs: sequence }]);
    await put('job-history', `${EXAMPLE_JOB}/${String(sequence).padStart(10, '0')}`, event);
  }
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

/** Changes a value as a disk would: its checksum is that of before. */
async function damage(key: string): Promise<void> {
  await using store = await LevelStore.open(join(home, 'db'));
  const value = (await store.get(key)) as Uint8Array;
  value[0] = (value[0] ?? 0) ^ 0x80;
  await store.commit([{ type: 'put', key, value }], { isDurable: true });
}

const repair = (mode: 'check' | 'repair') => repairHome(MODULES, { home, mode });

describe('node repair', () => {
  it('finds nothing in a whole data folder but what its entries lack of each other', async () => {
    const report = await repair('repair');
    expect(report).toMatchObject({ files: [], damagedEntries: [], entries: 7, keptDatabase: null, keptEntries: null });
    expect(report.incomplete).toEqual([]);
    expect(await readdir(home)).not.toContain('damaged');
  });

  it('names damaged entries with what they are and what follows, keeps them, and takes them out', async () => {
    const key = `job-history/${EXAMPLE_JOB}/0000000001`;
    await damage(key);
    const checked = await repair('check');
    expect(checked.damagedEntries).toMatchObject([
      {
        namespace: 'job-history',
        key: `${EXAMPLE_JOB}/0000000001`,
        meaning: expect.stringContaining('event of the job machine'),
        reason: expect.stringContaining('checksum'),
        consequence: expect.stringContaining('cannot be gone on with'),
      },
    ]);
    expect(checked.keptEntries).toBeNull();
    const repaired = await repair('repair');
    expect(repaired.damagedEntries).toEqual(checked.damagedEntries);
    const kept = JSON.parse(await readFile(String(repaired.keptEntries), 'utf8')) as Record<string, string>;
    expect(kept).toMatchObject({ namespace: 'job-history', key: `${EXAMPLE_JOB}/0000000001` });
    expect(Buffer.from(kept['stored'] ?? '', 'base64').length).toBeGreaterThan(4);
    expect((await stat(String(repaired.keptEntries))).mode & 0o777).toBe(0o600);
    const after = await repair('check');
    expect(after).toMatchObject({ damagedEntries: [], entries: 6 });
    expect(after.incomplete).toEqual([expect.stringContaining(EXAMPLE_JOB)]);
  });

  it.each(['as it was left', 'without its cursor'])(
    'takes nothing out of a migration that was cut off, %s',
    async (how) => {
      await rm(join(home, 'db'), { recursive: true });
      const peers = Array.from({ length: 6 }, (_, index) => `${EXAMPLE_PEER.slice(0, -1)}${index + 2}`);
      const value = KNOWN_PEER_CODEC.encode({ addresses: [], lastSuccessMs: 1 });
      const store = await LevelStore.open(join(home, 'db'));
      const rows = peers.map((peer) => ({ type: 'put' as const, key: `known-peers/${peer}`, value }));
      const version = { type: 'put' as const, key: 'meta/schema-version', value: encoder.encode('1') };
      await store.commit([...rows, version], { isDurable: true });
      await store[Symbol.asyncDispose]();
      await expect(LevelDatabase.open(join(home, 'db'), MODULES, { schema: CUT_OFF })).rejects.toThrow('killed');
      if (how === 'without its cursor') {
        await using cut = await LevelStore.open(join(home, 'db'));
        await cut.commit([{ type: 'del', key: 'meta/migration-progress' }], { isDurable: true });
      }
      const left = how === 'without its cursor' ? 7 : 3;
      expect(await repair('check')).toMatchObject({ damagedEntries: [], schema: { found: 1, changes: left } });
      expect(await repair('repair')).toMatchObject({ damagedEntries: [], keptEntries: null });
      await using database = await LevelDatabase.open(join(home, 'db'), MODULES);
      for (const peer of peers) {
        expect(await database.repository('known-peers', KNOWN_PEER_CODEC).get(peer)).toMatchObject({
          lastSuccessMs: 1,
        });
      }
    },
  );

  it('names entries that are whole but not of the form of their namespace', async () => {
    const database = await LevelDatabase.open(join(home, 'db'), MODULES);
    await database.repository('leases', BYTES_CODEC).put(EXAMPLE_LEASE, Uint8Array.of(1, 2, 3));
    await database[Symbol.asyncDispose]();
    expect((await repair('repair')).damagedEntries).toMatchObject([{ namespace: 'leases', key: EXAMPLE_LEASE }]);
  });

  it('mends files, keeps the damaged database whole, and the daemon can open the new one', async () => {
    const name = (await readdir(join(home, 'db'))).find((file) => file.endsWith('.log'));
    const path = join(home, 'db', String(name));
    const bytes = await readFile(path);
    bytes[12] = (bytes[12] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await expect(LevelDatabase.open(join(home, 'db'), MODULES)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    expect((await repair('check')).files).not.toEqual([]);
    const report = await repair('repair');
    expect(report.lostFiles).not.toEqual([]);
    expect(await readFile(join(String(report.keptDatabase), String(name)))).toEqual(bytes);
    await using database = await LevelDatabase.open(join(home, 'db'), MODULES);
    expect(database.path).toBe(join(home, 'db'));
  });

  it('does not touch what a newer program wrote, nor a folder without a database', async () => {
    const newer = await LevelDatabase.open(join(home, 'db'), MODULES);
    await newer.repository('meta', BYTES_CODEC).put('schema-version', encoder.encode('99'));
    await newer[Symbol.asyncDispose]();
    await expect(repair('repair')).rejects.toMatchObject({ code: 'NODE_NEWER_DATA', info: { found: 99 } });
    await expect(repairHome(MODULES, { home: join(home, 'nowhere'), mode: 'check' })).rejects.toMatchObject({
      code: 'NODE_NOTHING_TO_REPAIR',
    });
  });
});
