import { rename, rm, stat } from 'node:fs/promises';
import { repairedPath } from '../check-before-open.ts';
import { compareClosingNote, removeClosingNote } from '../closing-note.ts';
import { type FileDamage, inspectDatabase } from '../files/inspect-folder.ts';
import { LevelStore } from '../level-store.ts';
import { type SalvageReport, salvage } from './salvage.ts';

export interface RebuildOptions {
  /** Where the damaged database is moved to, whole. */
  readonly keepAt: string;
}

/** All damage of the files of a database, also such as an opening passes over. */
export async function findFileDamage(path: string): Promise<readonly FileDamage[]> {
  const changed = (await compareClosingNote(path)) ?? [];
  return [...changed, ...(await inspectDatabase(path, { maxTableBytes: Number.POSITIVE_INFINITY }))];
}

/**
 * Puts a database in the place of a damaged one that holds all that is whole of it. A kill at any step leaves the old one,
 * or what the next opening takes for the new one. The caller holds the lock.
 */
export async function rebuildDatabase(path: string, { keepAt }: RebuildOptions): Promise<SalvageReport> {
  const draft = `${path}.repairing`;
  for (const name of [draft, `${draft}.pid`, `${draft}.closed`]) await rm(name, { recursive: true, force: true });
  const report = await writeDraft(path, draft);
  await rm(`${draft}.closed`, { force: true });
  await rename(draft, repairedPath(path));
  await rename(path, keepAt);
  await rename(repairedPath(path), path);
  await removeClosingNote(path);
  return report;
}

async function writeDraft(path: string, draft: string): Promise<SalvageReport> {
  await using store = await LevelStore.open(draft);
  const report = await salvage(path, (entries) =>
    store.commit(
      entries.map(([key, value]) => ({ type: 'put', key, value })),
      { isDurable: false },
    ),
  );
  // One durable write makes all before it durable: they are in one log, or in tables that were synced.
  await store.commit([{ type: 'del', key: 'meta/repairing' }], { isDurable: true });
  return report;
}

/** True if there is a database to look at, or one that a repair has left to be put in its place. */
export async function hasDatabase(path: string): Promise<boolean> {
  const isThere = (name: string): Promise<boolean> =>
    stat(name).then(
      () => true,
      () => false,
    );
  return (await isThere(path)) || (await isThere(repairedPath(path)));
}
