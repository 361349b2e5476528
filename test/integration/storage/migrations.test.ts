import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STRING_CODEC } from '../../../src/storage/codecs.ts';
import { SCHEMA_VERSION } from '../../../src/storage/constants.ts';
import type { Database, WriteObserver } from '../../../src/storage/interface.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { LevelStore } from '../../../src/storage/level-store.ts';
import type { Migration } from '../../../src/storage/migrations/migration.ts';
import { MIGRATIONS, rehearse } from '../../../src/storage/migrations.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';

const MODULES = { logger: new NoopLogger() };
const ENTRIES = 30;
/** As it runs, in steps of a few entries. */
const SMALL_STEPS: readonly Migration[] = MIGRATIONS.map((migration) => ({
  ...migration,
  next: (database: Database, cursor: string | null) =>
    migration.next(database, cursor, { maxEntries: 7, maxBytes: 1024 }),
}));
const SCHEMA = { version: SCHEMA_VERSION, migrations: SMALL_STEPS };

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-migrate-'));
  path = join(folder, 'db');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** As a program of schema 1 left it: values as they are. */
async function writeFirstSchema(): Promise<void> {
  await using store = await LevelStore.open(path);
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const entries = Array.from({ length: ENTRIES }, (_, index) => ({
    type: 'put' as const,
    key: `${index % 2 === 0 ? 'jobs' : 'blobs'}/k${index}/with/slashes`,
    value: text(`value ${index}`),
  }));
  await store.commit([...entries, { type: 'put', key: 'meta/schema-version', value: text('1') }], { isDurable: true });
}

async function expectMigrated(database: Database): Promise<void> {
  for (let index = 0; index < ENTRIES; index += 1) {
    const repository = database.repository(index % 2 === 0 ? 'jobs' : 'blobs', STRING_CODEC);
    expect(await repository.get(`k${index}/with/slashes`)).toBe(`value ${index}`);
  }
  expect(await database.repository('meta', STRING_CODEC).get('schema-version')).toBe(String(SCHEMA_VERSION));
}

/** Stops at a commit, before it or after it, as a kill would. */
function stopAt(commit: number, when: 'before' | 'after'): WriteObserver & { readonly seen: number } {
  const observer = {
    seen: 0,
    before: () => {
      observer.seen += 1;
      if (when === 'before' && observer.seen === commit) throw new Error('killed');
    },
    after: () => {
      if (when === 'after' && observer.seen === commit) throw new Error('killed');
    },
  };
  return observer;
}

describe('the migration to entries with checksums', () => {
  it('keeps every entry, in bounded steps, and finds damage from then on', async () => {
    await writeFirstSchema();
    const observer = stopAt(0, 'before');
    const database = await LevelDatabase.open(path, { ...MODULES, observer }, { schema: SCHEMA });
    expect(observer.seen).toBeGreaterThanOrEqual(ENTRIES / 7);
    await expectMigrated(database);
    await database[Symbol.asyncDispose]();
    const store = await LevelStore.open(path);
    await store.commit([{ type: 'put', key: 'jobs/k0/with/slashes', value: new TextEncoder().encode('value 1') }], {
      isDurable: true,
    });
    await store[Symbol.asyncDispose]();
    await using again = await LevelDatabase.open(path, MODULES);
    await expect(again.repository('jobs', STRING_CODEC).get('k0/with/slashes')).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
    });
  });

  it.each(['before', 'after'] as const)('survives a kill %s any of its writes', async (when) => {
    for (let commit = 1; ; commit += 1) {
      path = join(folder, `db-${when}-${commit}`);
      await writeFirstSchema();
      const observer = stopAt(commit, when);
      const killed = await LevelDatabase.open(path, { ...MODULES, observer }, { schema: SCHEMA }).catch(
        () => undefined,
      );
      await killed?.[Symbol.asyncDispose]();
      await using database = await LevelDatabase.open(path, MODULES, { schema: SCHEMA });
      await expectMigrated(database);
      if (killed !== undefined) return;
    }
  });

  it('can be rehearsed: it says how much it would change, and changes nothing', async () => {
    await writeFirstSchema();
    const database = await LevelDatabase.open(path, MODULES, { isAsFound: true });
    const [migration] = SMALL_STEPS;
    // The mark that all have one is a change too.
    expect(await rehearse(database, migration as Migration)).toEqual({ changes: ENTRIES + 1 });
    await database[Symbol.asyncDispose]();
    await using store = await LevelStore.open(path);
    expect(await store.get('meta/schema-version')).toEqual(new TextEncoder().encode('1'));
    expect(await store.get('jobs/k0/with/slashes')).toEqual(new TextEncoder().encode('value 0'));
  });

  it('is refused where the version is lost', async () => {
    const database = await LevelDatabase.open(path, MODULES);
    await database.repository('meta', STRING_CODEC).delete('schema-version');
    await database[Symbol.asyncDispose]();
    await expect(LevelDatabase.open(path, MODULES)).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      info: { where: 'meta/schema-version' },
    });
  });
});
