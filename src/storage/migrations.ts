import { z } from 'zod';
import type { Logger } from '../telemetry/interface.ts';
import { createJsonCodec, STRING_CODEC } from './codecs.ts';
import { ENTRY_CHECKSUMS_KEY, MIGRATION_BATCH_BYTES, MIGRATION_BATCH_ENTRIES } from './constants.ts';
import { StorageError } from './errors.ts';
import type { Database } from './interface.ts';
import { addChecksums } from './migrations/add-checksums.ts';
import type { Migration, MigrationLimits, MigrationStep } from './migrations/migration.ts';

/** In ascending order, without gaps, the last one leading to SCHEMA_VERSION. Version 1 is the first. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 2, summary: 'every entry gets a checksum', next: addChecksums },
];

const SCHEMA_VERSION_KEY = 'schema-version';
const PROGRESS_KEY = 'migration-progress';
const LIMITS: MigrationLimits = { maxEntries: MIGRATION_BATCH_ENTRIES, maxBytes: MIGRATION_BATCH_BYTES };

const PROGRESS_CODEC = createJsonCodec(z.strictObject({ version: z.int().min(1), cursor: z.string() }));

export interface MigrateOptions {
  readonly path: string;
  readonly current: number;
  readonly migrations: readonly Migration[];
  readonly logger: Logger;
  /** Called when a version was reached. */
  readonly onVersion: () => Promise<void>;
}

/** Brings a database to the current schema, one version at a time. @throws StorageError STORAGE_NEWER_SCHEMA */
export async function migrate(database: Database, options: MigrateOptions): Promise<void> {
  const meta = database.repository('meta', STRING_CODEC);
  const found = await readSchemaVersion(database, options.path);
  if (found === undefined) {
    if (await meta.has(ENTRY_CHECKSUMS_KEY)) throw noVersion(options.path, 'it is missing');
    await database.write(
      [meta.putOperation(SCHEMA_VERSION_KEY, String(options.current)), meta.putOperation(ENTRY_CHECKSUMS_KEY, 'all')],
      { durable: true },
    );
    return options.onVersion();
  }
  if (found > options.current) {
    const supported = options.current;
    throw new StorageError({ code: 'STORAGE_NEWER_SCHEMA', path: options.path, found, supported });
  }
  for (const migration of options.migrations) {
    if (migration.version <= found) continue;
    options.logger.info({ version: migration.version, summary: migration.summary }, 'migrating the database');
    await runMigration(database, migration);
    await options.onVersion();
  }
}

/** Undefined for a database without one: a new one. @throws StorageError STORAGE_CORRUPT */
export async function readSchemaVersion(database: Database, path: string): Promise<number | undefined> {
  const text = await database.repository('meta', STRING_CODEC).get(SCHEMA_VERSION_KEY);
  if (text === undefined) return undefined;
  const version = Number(text);
  if (Number.isInteger(version) && version > 0) return version;
  throw noVersion(path, `'${text.slice(0, 40)}' is not a version`);
}

function noVersion(path: string, reason: string): StorageError {
  return new StorageError({ code: 'STORAGE_CORRUPT', path, where: `meta/${SCHEMA_VERSION_KEY}`, reason });
}

/** What a migration would write, without writing: its first steps are those that it begins or goes on with. */
export async function rehearse(database: Database, migration: Migration): Promise<{ readonly changes: number }> {
  let changes = 0;
  let cursor = await readCursor(database, migration);
  do {
    const step: MigrationStep = await migration.next(database, cursor, LIMITS);
    changes += step.operations.length;
    cursor = step.cursor;
  } while (cursor !== null);
  return { changes };
}

/** Where it was cut off; null if it was not begun. */
async function readCursor(database: Database, { version }: Migration): Promise<string | null> {
  const begun = await database.repository('meta', PROGRESS_CODEC).get(PROGRESS_KEY);
  return begun?.version === version ? begun.cursor : null;
}

async function runMigration(database: Database, migration: Migration): Promise<void> {
  const meta = database.repository('meta', STRING_CODEC);
  const progress = database.repository('meta', PROGRESS_CODEC);
  let cursor = await readCursor(database, migration);
  for (;;) {
    const step = await migration.next(database, cursor, LIMITS);
    const mark =
      step.cursor === null
        ? [meta.putOperation(SCHEMA_VERSION_KEY, String(migration.version)), progress.deleteOperation(PROGRESS_KEY)]
        : [progress.putOperation(PROGRESS_KEY, { version: migration.version, cursor: step.cursor })];
    await database.write([...step.operations, ...mark], { durable: true });
    if (step.cursor === null) return;
    cursor = step.cursor;
  }
}
