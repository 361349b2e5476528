import type { Logger } from '../telemetry/interface.ts';
import { STRING_CODEC } from './codecs.ts';
import { StorageError } from './errors.ts';
import type { Database, WriteOperation } from './interface.ts';

export interface Migration {
  /** The schema version that it leads to. */
  readonly version: number;
  /** What changes, for the log. */
  readonly summary: string;
  /** The changes from the version before; they are written together with the new version, or not at all. */
  collect(database: Database): Promise<readonly WriteOperation[]>;
}

/** In ascending order, without gaps, the last one leading to SCHEMA_VERSION. Version 1 is the first: nothing to do. */
export const MIGRATIONS: readonly Migration[] = [];

const SCHEMA_VERSION_KEY = 'schema-version';

export interface MigrateOptions {
  readonly path: string;
  readonly current: number;
  readonly migrations: readonly Migration[];
  readonly logger: Logger;
}

/** Brings a database to the current schema, one version at a time. @throws StorageError STORAGE_NEWER_SCHEMA */
export async function migrate(database: Database, options: MigrateOptions): Promise<void> {
  const meta = database.repository('meta', STRING_CODEC);
  const stored = await meta.get(SCHEMA_VERSION_KEY);
  if (stored === undefined) {
    await meta.put(SCHEMA_VERSION_KEY, String(options.current), { durable: true });
    return;
  }
  const found = parseVersion(stored, options.path);
  if (found > options.current) {
    throw new StorageError({
      code: 'STORAGE_NEWER_SCHEMA',
      path: options.path,
      found,
      supported: options.current,
    });
  }
  for (const migration of options.migrations) {
    if (migration.version <= found) continue;
    options.logger.info({ version: migration.version, summary: migration.summary }, 'migrating the database');
    const operations = await migration.collect(database);
    const version = meta.putOperation(SCHEMA_VERSION_KEY, String(migration.version));
    await database.write([...operations, version], { durable: true });
  }
}

function parseVersion(text: string, path: string): number {
  const version = Number(text);
  if (Number.isInteger(version) && version > 0) return version;
  throw new StorageError({
    code: 'STORAGE_CORRUPT',
    path,
    where: `meta/${SCHEMA_VERSION_KEY}`,
    reason: `'${text.slice(0, 40)}' is not a version`,
  });
}
