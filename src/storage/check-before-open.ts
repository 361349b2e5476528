import { copyFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../lib/make-folder.ts';
import type { Logger } from '../telemetry/interface.ts';
import { compareClosingNote } from './closing-note.ts';
import { TABLE_CHECK_BYTES } from './constants.ts';
import { StorageError } from './errors.ts';
import { type FileDamage, inspectDatabase } from './files/inspect-folder.ts';
import { OPENING, toStorageError } from './storage-failure.ts';

/** Where a repair leaves the whole database that takes the place of a damaged one. */
export function repairedPath(path: string): string {
  return `${path}.repaired`;
}

/**
 * Looks for damage that LevelDB would pass over. A process that was not closed may leave a torn end of its log: what is
 * cut off is told, and copied beside the database. Anything else keeps the database closed.
 * @throws StorageError STORAGE_CORRUPT, STORAGE_IO
 */
export async function checkBeforeOpen(path: string, logger: Logger): Promise<void> {
  await finishRepair(path, logger);
  let damage: readonly FileDamage[];
  let isClosed: boolean;
  try {
    const changed = await compareClosingNote(path);
    isClosed = changed !== undefined;
    const maxTableBytes = isClosed ? TABLE_CHECK_BYTES : Number.POSITIVE_INFINITY;
    damage = [...(changed ?? []), ...(await inspectDatabase(path, { maxTableBytes }))];
  } catch (error) {
    throw toStorageError(error, path, OPENING);
  }
  const fatal = damage.find(({ isTail }) => isClosed || !isTail);
  if (fatal !== undefined) {
    const { file: where, reason } = fatal;
    throw new StorageError({ code: 'STORAGE_CORRUPT', path, where, reason });
  }
  for (const { file, reason } of damage) {
    const copy = await keepCopy(path, file);
    logger.warn({ file, reason, copy }, 'the log of the database ends torn: what was not on disk yet is left out');
  }
}

/** A repair that stopped between its last two steps. */
async function finishRepair(path: string, logger: Logger): Promise<void> {
  if ((await isThere(path)) || !(await isThere(repairedPath(path)))) return;
  await rename(repairedPath(path), path);
  logger.warn({ path }, 'a repair that was interrupted has been finished');
}

async function keepCopy(path: string, file: string): Promise<string> {
  const folder = `${path}.torn`;
  await makeFolder(folder, 0o700);
  const copy = join(folder, file);
  await copyFile(join(path, file), copy);
  return copy;
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
