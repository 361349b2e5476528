import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { computeDataPaths } from '../../config/paths.ts';
import type { Clock } from '../../lib/clock.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { SCHEMA_VERSION } from '../../storage/constants.ts';
import { LevelDatabase } from '../../storage/level-database.ts';
import { MIGRATIONS, readSchemaVersion, rehearse } from '../../storage/migrations.ts';
import { holdLock } from '../../storage/repair/hold-lock.ts';
import { findFileDamage, hasDatabase, rebuildDatabase } from '../../storage/repair/rebuild-database.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { NodeError } from '../errors.ts';
import { checkEntries, quarantineEntries } from './check-entries.ts';
import { findIncomplete } from './find-incomplete.ts';
import type { RepairReport } from './interface.ts';

export interface RepairModules {
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RepairOptions {
  readonly home: string;
  /** Says what is damaged, and changes nothing. Of a database whose files are damaged the entries cannot be read then. */
  readonly mode: 'check' | 'repair';
}

/**
 * Mends the database of a data folder whose daemon is stopped: first its files, then its entries. What is damaged is kept
 * under `damaged/` in the data folder.
 * @throws NodeError NODE_NOTHING_TO_REPAIR, StorageError STORAGE_LOCKED, STORAGE_FULL
 */
export async function repairHome(modules: RepairModules, options: RepairOptions): Promise<RepairReport> {
  const path = computeDataPaths(options.home).database;
  if (!(await hasDatabase(path))) throw new NodeError({ code: 'NODE_NOTHING_TO_REPAIR', path });
  const folder = join(options.home, 'damaged');
  const name = new Date(modules.clock.nowMs()).toISOString().replaceAll(/[:.]/g, '-');
  const files = await mendFiles(path, { keepAt: join(folder, `${name}-db`), folder, mode: options.mode });
  if (options.mode === 'check' && files.files.length > 0) {
    const schema = { found: null, current: SCHEMA_VERSION, changes: 0 };
    return { ...files, schema, entries: 0, damagedEntries: [], incomplete: [], keptEntries: null };
  }
  const keepAt = join(folder, `${name}-entries.jsonl`);
  return { ...files, ...(await mendEntries(modules, { path, folder, keepAt, mode: options.mode })) };
}

type Mode = RepairOptions['mode'];
type FilePart = Pick<RepairReport, 'database' | 'files' | 'lostFiles' | 'mayHoldDeleted' | 'keptDatabase'>;

async function mendFiles(
  path: string,
  { keepAt, folder, mode }: { readonly keepAt: string; readonly folder: string; readonly mode: Mode },
): Promise<FilePart> {
  const untouched = { database: path, lostFiles: [], mayHoldDeleted: false, keptDatabase: null };
  // A repair that was stopped before its last step: what it left is whole.
  if (!(await isFolder(path))) return { ...untouched, files: [] };
  await using _lock = await holdLock(path);
  const files = (await findFileDamage(path)).map(({ file, reason }) => ({ file, reason }));
  if (files.length === 0 || mode === 'check') return { ...untouched, files };
  await makeFolder(folder, 0o700);
  const { losses, mayHoldDeleted } = await rebuildDatabase(path, { keepAt });
  return { database: path, files, lostFiles: losses, mayHoldDeleted, keptDatabase: keepAt };
}

async function mendEntries(
  { logger }: RepairModules,
  options: { readonly path: string; readonly folder: string; readonly keepAt: string; readonly mode: Mode },
): Promise<Pick<RepairReport, 'schema' | 'entries' | 'damagedEntries' | 'incomplete' | 'keptEntries'>> {
  const { path, keepAt, mode } = options;
  await using database = await LevelDatabase.open(path, { logger }, { isAsFound: true });
  const schema = await describeSchema(database, path);
  // What a newer program stores is not for this one to judge.
  if (schema.found !== null && schema.found > SCHEMA_VERSION) {
    throw new NodeError({ code: 'NODE_NEWER_DATA', what: path, found: schema.found, supported: SCHEMA_VERSION });
  }
  const { entries, damaged } = await checkEntries(database);
  const isMending = mode === 'repair' && damaged.length > 0;
  if (isMending) {
    await makeFolder(options.folder, 0o700);
    await quarantineEntries(database, damaged, keepAt);
  }
  const incomplete = await findIncomplete(database);
  return { schema, entries, damagedEntries: damaged, incomplete, keptEntries: isMending ? keepAt : null };
}

async function describeSchema(database: LevelDatabase, path: string): Promise<RepairReport['schema']> {
  const found = (await readSchemaVersion(database, path)) ?? null;
  // Only the first can be rehearsed: each one reads what the one before it wrote.
  const next = MIGRATIONS.find(({ version }) => found !== null && version > found);
  const changes = next === undefined ? 0 : (await rehearse(database, next)).changes;
  return { found, current: SCHEMA_VERSION, changes };
}

async function isFolder(path: string): Promise<boolean> {
  return await readdir(path).then(
    () => true,
    () => false,
  );
}
