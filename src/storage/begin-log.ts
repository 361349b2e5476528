import { readdir, statfs } from 'node:fs/promises';
import { StorageError } from './errors.ts';

/** What a LevelDB has and the type of `level` leaves out. */
export interface Compactable {
  compactRange(start: string, end: string): Promise<void>;
}

/** Room for the write buffer (4 MiB) as a table, a new log, and as much again. */
const NEEDED_BYTES = 16 * 1024 * 1024;
const LOG_NAME = /^(\d+)\.log$/;

/**
 * Has LevelDB begin a new log and save what it holds in memory. After a record that did not fit the disk it goes on
 * writing behind the piece that did, tells success, and leaves all of that out when it opens again. A compaction begins a
 * new log whatever its range; whether it did is told by the folder alone.
 * @throws StorageError STORAGE_FULL unless there is a new log: nothing that is written to the old one is kept
 */
export async function beginLog(store: Compactable, path: string): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  // A compaction that fails halfway would end all writing until the next start.
  if (bavail * bsize < NEEDED_BYTES) throw new StorageError({ code: 'STORAGE_FULL', path });
  const before = await findNewestLog(path);
  await store.compactRange('', '');
  if ((await findNewestLog(path)) <= before) throw new StorageError({ code: 'STORAGE_FULL', path });
}

async function findNewestLog(path: string): Promise<number> {
  const numbers = (await readdir(path)).map((name) => Number(LOG_NAME.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}
