import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../lib/system-error.ts';
import { BLOBS_FOLDER } from './constants.ts';
import { isSafeName } from './tar-header.ts';

/** Files of the data folder beside the database. The rest is made anew: the socket, caches, the log. */
const SINGLE_FILES = ['config.yaml', 'identity.age', 'identity.json'];
/** The simulated keys: networks that they were made for have no other copy, and restored definitions name their roots. */
const SMALL_FOLDERS = ['networks', 'simulated-tees'];
const BULK_FOLDERS = [BLOBS_FOLDER, 'snapshots'];
/** What comes in, or is being written. */
const UNFINISHED = /(^|\/)(incoming|receptions)(\/|$)|\.tmp$/;

export const DATA_FILES = { single: SINGLE_FILES, small: SMALL_FOLDERS, bulk: BULK_FOLDERS } as const;

export async function listSmallFiles(home: string): Promise<readonly string[]> {
  const names = new Set(await readdir(home));
  const found = SINGLE_FILES.filter((name) => names.has(name));
  for (const folder of SMALL_FOLDERS) for await (const name of walk(home, folder)) found.push(name);
  return found;
}

/** Blobs and snapshots: none of these files ever changes. */
export async function* listBulkFiles(home: string): AsyncGenerator<string> {
  for (const folder of BULK_FOLDERS) yield* walk(home, folder);
}

/** By their path below the data folder; no links, nothing that is being written. */
async function* walk(home: string, folder: string): AsyncGenerator<string> {
  if (UNFINISHED.test(folder)) return;
  const entries = await readdir(join(home, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* walk(home, name);
    else if (entry.isFile() && !UNFINISHED.test(name) && isSafeName(`home/${name}`)) yield name;
  }
}
