import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { computeDataPaths } from '../../config/paths.ts';
import { syncDirectory } from '../../lib/atomic-file.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { LevelStore } from '../../storage/level-store.ts';
import { NodeError } from '../errors.ts';
import { SYNCED_TOGETHER } from './constants.ts';
import { type BackupSink, type VerifiedBackup, verifyBackup } from './verify-backup.ts';

export interface RestoreOptions {
  /** A folder that is empty, or not there yet. */
  readonly home: string;
  readonly signal: AbortSignal;
}

/**
 * Makes a data folder from a backup: beside its place first, and there only once all of it was checked.
 * @throws NodeError NODE_RESTORE_NOT_EMPTY, NODE_BACKUP_DAMAGED, NODE_NEWER_DATA
 */
export async function restoreBackup(path: string, { home, signal }: RestoreOptions): Promise<VerifiedBackup> {
  await assertEmpty(home);
  const draft = join(dirname(home), `.${basename(home)}.restoring`);
  await rm(draft, { recursive: true, force: true });
  await makeFolder(draft, 0o700);
  try {
    const verified = await fill(draft, path, signal);
    await assertEmpty(home);
    // An empty folder is replaced; one that was filled meanwhile is not.
    await rename(draft, home);
    await syncDirectory(dirname(home));
    return verified;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function fill(draft: string, path: string, signal: AbortSignal): Promise<VerifiedBackup> {
  await using store = await LevelStore.open(computeDataPaths(draft).database);
  const folders = new Set<string>();
  const written = new WrittenFiles();
  await using _written = written;
  const sink: BackupSink = {
    addFile: async (name, pieces) => {
      const target = join(draft, name);
      await makeFolder(dirname(target), 0o700);
      folders.add(dirname(target));
      const file = await open(target, 'wx', 0o600);
      await written.add(file);
      for await (const piece of pieces) await file.writeFile(piece);
    },
    addEntries: async (entries) => {
      const operations = entries.map(([key, value]) => ({ type: 'put' as const, key, value }));
      await store.commit(operations, { isDurable: false });
    },
  };
  const verified = await verifyBackup(path, { signal, sink });
  await store.commit([{ type: 'del', key: 'meta/restoring' }], { isDurable: true });
  await written.sync();
  for (const folder of folders) await syncDirectory(folder);
  return verified;
}

/** Files that are written and not on disk yet. */
class WrittenFiles implements AsyncDisposable {
  #open: FileHandle[] = [];

  /** Brings those before it to the disk once they are many. */
  async add(file: FileHandle): Promise<void> {
    if (this.#open.length >= SYNCED_TOGETHER) await this.sync();
    this.#open.push(file);
  }

  async sync(): Promise<void> {
    await Promise.all(this.#open.map((file) => file.sync()));
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = this.#open;
    this.#open = [];
    await Promise.all(files.map((file) => file.close()));
  }
}

async function assertEmpty(home: string): Promise<void> {
  const names = await readdir(home).catch((error: unknown): string[] => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  if (names.length > 0) throw new NodeError({ code: 'NODE_RESTORE_NOT_EMPTY', home });
}
