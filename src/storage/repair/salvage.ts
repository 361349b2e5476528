import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatName, listDatabaseFiles, resolveTable } from '../files/inspect-folder.ts';
import { readLogFile } from '../files/log-file.ts';
import type { StoredChange } from '../files/stored-change.ts';
import { readTableFile } from '../files/table-file.ts';
import { decodeWriteBatch } from '../files/write-batch.ts';

/** Entries that are written at a time. */
const BATCH_ENTRIES = 1_024;
const BATCH_BYTES = 4 * 1024 * 1024;

export interface SalvagedLoss {
  readonly file: string;
  /** What was in it, as far as the file still tells. */
  readonly lost: string;
}

export interface SalvageReport {
  readonly entries: number;
  readonly losses: readonly SalvagedLoss[];
  /** Files that the list of files does not tell from old ones: an entry that was deleted may be back. */
  readonly mayHoldDeleted: boolean;
}

interface Source {
  readonly file: string;
  read(take: (change: StoredChange) => void): Promise<readonly SalvagedLoss[]>;
}

export type WriteEntries = (entries: readonly (readonly [key: string, value: Uint8Array])[]) => Promise<void>;

/**
 * Reads what is whole of a LevelDB, straight from its files, and writes the newest of every key. LevelDB's own repair
 * checks neither logs nor tables (db/repair.cc of 1.20 without paranoid checks), so that damage could become a value.
 */
export async function salvage(path: string, write: WriteEntries): Promise<SalvageReport> {
  const { manifest, logs, tables, damage } = await listDatabaseFiles(path);
  const losses: SalvagedLoss[] = damage.map(({ file, reason }) => ({ file, lost: `nothing by itself: ${reason}` }));
  const liveLogs = manifest === null ? logs : logs.filter((number) => number >= manifest.logNumber);
  const liveTables = manifest === null ? tables : [...manifest.tables];
  if (manifest !== null && manifest.logNumber > 0 && liveLogs.length === 0) {
    losses.push({ file: formatName(manifest.logNumber, 'log'), lost: 'the newest writes: it is missing' });
  }
  const sources: readonly Source[] = [
    ...liveTables.map((number) => createTableSource(path, { number, isThere: tables.includes(number) })),
    ...liveLogs.map((number) => createLogSource(path, number)),
  ];
  const newest = new Map<string, number>();
  for (const source of sources) {
    const lost = await source.read(({ key, sequence, value }) => {
      const place = sequence * 2 + (value === null ? 0 : 1);
      if (place > (newest.get(key) ?? -1)) newest.set(key, place);
    });
    losses.push(...lost);
  }
  const entries = await writeNewest(sources, newest, write);
  return { entries, losses, mayHoldDeleted: manifest === null && tables.length > 0 };
}

async function writeNewest(
  sources: readonly Source[],
  newest: ReadonlyMap<string, number>,
  write: WriteEntries,
): Promise<number> {
  let entries = 0;
  const written = new Set<string>();
  for (const source of sources) {
    const pending: (readonly [string, Uint8Array])[] = [];
    await source.read(({ key, sequence, value }) => {
      if (value === null || newest.get(key) !== sequence * 2 + 1 || written.has(key)) return;
      written.add(key);
      pending.push([key, value]);
    });
    for (const batch of splitBatches(pending)) await write(batch);
    entries += pending.length;
  }
  return entries;
}

function* splitBatches(entries: readonly (readonly [string, Uint8Array])[]) {
  let batch: (readonly [string, Uint8Array])[] = [];
  let sizeBytes = 0;
  for (const entry of entries) {
    batch.push(entry);
    sizeBytes += entry[1].length;
    if (batch.length < BATCH_ENTRIES && sizeBytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield batch;
}

function createLogSource(path: string, number: number): Source {
  const file = formatName(number, 'log');
  return {
    file,
    read: async (take) => {
      const { records, damaged } = readLogFile(await readFile(join(path, file)));
      const losses = damaged.map(({ offset, sizeBytes, isTail }) => ({
        file,
        lost: `writes in ${sizeBytes} bytes at ${offset}${isTail ? ', the end of the log' : ''}`,
      }));
      for (const record of records) {
        const changes = decodeWriteBatch(record);
        if (changes === undefined) losses.push({ file, lost: 'one group of writes that is none' });
        else for (const change of changes) take(change);
      }
      return losses;
    },
  };
}

function createTableSource(path: string, table: { readonly number: number; readonly isThere: boolean }): Source {
  const file = formatName(table.number, 'ldb');
  return {
    file,
    read: async (take) => {
      if (!table.isThere) return [{ file, lost: 'all that was in it: it is missing' }];
      const { unreadable, damaged } = readTableFile(
        await readFile(join(path, await resolveTable(path, table.number))),
        take,
      );
      if (unreadable !== null) return [{ file, lost: `all that was in it: ${unreadable}` }];
      return damaged.map(({ after, upTo }) => ({ file, lost: describeRange(after, upTo) }));
    },
  };
}

function describeRange(after: string | null, upTo: string | null): string {
  if (after === null && upTo === null) return 'nothing: a part that holds no entries is damaged';
  return `entries ${after === null ? 'from the first key' : `after '${after}'`}${upTo === null ? '' : ` up to '${upTo}'`}`;
}
