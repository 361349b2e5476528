import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../lib/system-error.ts';
import { LevelStore } from '../level-store.ts';

/**
 * Holds the lock of a database that must not be opened: LevelDB would delete what it does not know. The lock is one of the
 * file, whatever its name: another database, whose lock file is a link to this one's, holds it.
 * @throws StorageError STORAGE_LOCKED
 */
export async function holdLock(path: string): Promise<AsyncDisposable> {
  const folder = `${path}.lock-holder`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  const lock = join(path, 'LOCK');
  await writeFile(lock, '', { flag: 'wx', mode: 0o600 }).catch(ignoreExisting);
  await link(lock, join(folder, 'LOCK'));
  try {
    const store = await LevelStore.open(folder);
    return {
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]();
        await removeHolder(folder);
      },
    };
  } catch (error) {
    await removeHolder(folder);
    throw error;
  }
}

async function removeHolder(folder: string): Promise<void> {
  for (const name of [folder, `${folder}.pid`, `${folder}.closed`]) await rm(name, { recursive: true, force: true });
}

function ignoreExisting(error: unknown): void {
  if (systemErrorCode(error) !== 'EEXIST') throw error;
}
