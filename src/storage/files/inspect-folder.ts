import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../lib/system-error.ts';
import { readLogFile } from './log-file.ts';
import { type ManifestContent, readManifestFile } from './manifest-file.ts';
import { readTableFile } from './table-file.ts';

export interface FileDamage {
  readonly file: string;
  readonly reason: string;
  /** The end of a log: what was being written when the machine stopped, unless it was closed before. */
  readonly isTail: boolean;
}

export interface DatabaseFiles {
  /** Nothing is there yet. */
  readonly isEmpty: boolean;
  /** Null if it cannot be read. */
  readonly manifest: ManifestContent | null;
  readonly logs: readonly number[];
  /** Of every table that is there, also those that the manifest does not name. */
  readonly tables: readonly number[];
}

/** What a LevelDB consists of, by the names of its files. */
export async function listDatabaseFiles(
  path: string,
): Promise<DatabaseFiles & { readonly damage: readonly FileDamage[] }> {
  const names = await readdir(path).catch((error: unknown): string[] => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const logs = numbersOf(names, /^(\d+)\.log$/);
  const tables = numbersOf(names, /^(\d+)\.(?:ldb|sst)$/);
  const isEmpty = logs.length === 0 && tables.length === 0 && !names.some((name) => name.startsWith('MANIFEST-'));
  if (isEmpty && !names.includes('CURRENT')) return { isEmpty: true, manifest: null, logs, tables, damage: [] };
  const { manifest, damage } = await readCurrentManifest(path, names);
  return { isEmpty: false, manifest, logs, tables, damage };
}

async function readCurrentManifest(
  path: string,
  names: readonly string[],
): Promise<{ readonly manifest: ManifestContent | null; readonly damage: readonly FileDamage[] }> {
  const lost = (file: string, reason: string) => ({ manifest: null, damage: [{ file, reason, isTail: false }] });
  // LevelDB takes a folder without it for a new one, and deletes all that it finds there.
  if (!names.includes('CURRENT')) return lost('CURRENT', 'it is missing beside files of a database');
  const name = /^(MANIFEST-\d+)\n$/.exec(await readFile(join(path, 'CURRENT'), 'utf8'))?.[1];
  if (name === undefined || !names.includes(name)) return lost('CURRENT', 'it names no list of files that is there');
  const manifest = readManifestFile(await readFile(join(path, name)));
  return manifest === undefined ? lost(name, 'it is not whole') : { manifest, damage: [] };
}

export interface InspectOptions {
  /** Tables are checked from the newest on until this many bytes were read. */
  readonly maxTableBytes: number;
}

/** Checks what LevelDB opens without checking: it leaves out what of a log is damaged, and reads tables as they are. */
export async function inspectDatabase(path: string, { maxTableBytes }: InspectOptions): Promise<readonly FileDamage[]> {
  const { isEmpty, manifest, logs, tables, damage } = await listDatabaseFiles(path);
  if (isEmpty || manifest === null) return damage;
  const found = [...damage];
  // A list of files that lost its end names a log that was already replaced by a table.
  if (manifest.logNumber > 0 && !logs.some((number) => number >= manifest.logNumber)) {
    found.push({ file: formatName(manifest.logNumber, 'log'), reason: 'it is missing', isTail: false });
  }
  const live = logs.filter((number) => number >= manifest.logNumber);
  for (const number of live) found.push(...(await inspectLog(path, number, number === live.at(-1))));
  let budget = maxTableBytes;
  for (const number of [...manifest.tables].sort((a, b) => b - a)) {
    if (!tables.includes(number)) {
      found.push({ file: formatName(number, 'ldb'), reason: 'it is missing', isTail: false });
      continue;
    }
    if (budget <= 0) continue;
    const file = await resolveTable(path, number);
    budget -= (await stat(join(path, file))).size;
    found.push(...(await inspectTable(path, file)));
  }
  return found;
}

async function inspectLog(path: string, number: number, isNewest: boolean): Promise<readonly FileDamage[]> {
  const file = formatName(number, 'log');
  const { damaged } = readLogFile(await readFile(join(path, file)));
  return damaged.map(({ offset, sizeBytes, isTail }) => ({
    file,
    reason: `${sizeBytes} bytes at ${offset} are not whole`,
    isTail: isTail && isNewest,
  }));
}

async function inspectTable(path: string, file: string): Promise<readonly FileDamage[]> {
  const { unreadable, damaged } = readTableFile(await readFile(join(path, file)));
  if (unreadable !== null) return [{ file, reason: unreadable, isTail: false }];
  return damaged.map(({ offset }) => ({ file, reason: `the block at ${offset} is not whole`, isTail: false }));
}

/** Older versions of LevelDB named tables otherwise, and newer ones read both. */
export async function resolveTable(path: string, number: number): Promise<string> {
  const name = formatName(number, 'ldb');
  const isThere = await stat(join(path, name)).then(
    () => true,
    () => false,
  );
  return isThere ? name : formatName(number, 'sst');
}

export function formatName(number: number, extension: 'log' | 'ldb' | 'sst'): string {
  return `${String(number).padStart(6, '0')}.${extension}`;
}

function numbersOf(names: readonly string[], form: RegExp): readonly number[] {
  return names
    .flatMap((name) => form.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}
