import { createReadStream } from 'node:fs';
import { lstat, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOB_LEAF_BYTES } from '../../../domain/blob-shape.ts';
import { BlobHasher, computeBlobId } from '../../../domain/blob-tree.ts';
import { describeError } from '../../../lib/errors.ts';
import { makeFolder } from '../../../lib/make-folder.ts';
import { systemErrorCode } from '../../../lib/system-error.ts';
import { RpcError } from '../../../rpc/errors.ts';
import type { ListedFolder } from './find-folder.ts';

/** As folders that a person makes. */
const FOLDER_MODE = 0o777;

export type PlannedWrite = ListedFolder['files'][number] & {
  readonly target: string;
  /** The very file is there already. */
  readonly isThere: boolean;
};

/**
 * Makes the folders, and says where each file goes. Before anything is written: no file is replaced by another one, and no
 * link is followed, for it could lead out of the folder.
 * @throws RpcError RPC_UNSAFE_OUTPUT_PATH, RPC_FILE_EXISTS, RPC_WRITE_FAILED
 */
export async function planWrites(
  directory: string,
  { folders, files }: Pick<ListedFolder, 'folders' | 'files'>,
  signal: AbortSignal,
): Promise<readonly PlannedWrite[]> {
  const root = await makeRoot(directory);
  const writes: PlannedWrite[] = [];
  for (const { path } of folders) await assertFree(root, path, 'folder');
  for (const file of files) {
    signal.throwIfAborted();
    const target = join(root, file.path);
    const isThere = await assertFree(root, file.path, 'file');
    if (isThere && !(await isSameFile(target, file, signal))) {
      throw new RpcError({ code: 'RPC_FILE_EXISTS', path: target });
    }
    writes.push({ ...file, target, isThere });
  }
  for (const { path } of folders) await make(join(root, path));
  return writes;
}

async function makeRoot(directory: string): Promise<string> {
  await make(directory);
  return await realpath(directory);
}

async function make(path: string): Promise<void> {
  try {
    await makeFolder(path, FOLDER_MODE);
  } catch (error) {
    const reason = systemErrorCode(error) ?? describeError(error);
    throw new RpcError({ code: 'RPC_WRITE_FAILED', path, reason }, { cause: error });
  }
}

/** True if something of that kind is there. @throws RpcError RPC_UNSAFE_OUTPUT_PATH if something else is in the way */
async function assertFree(root: string, path: string, kind: 'file' | 'folder'): Promise<boolean> {
  let current = root;
  const names = path.split('/').filter((name) => name !== '');
  for (const [index, name] of names.entries()) {
    current = join(current, name);
    const found = await lstat(current).catch(() => undefined);
    if (found === undefined) return false;
    const isLast = index === names.length - 1;
    if (isLast && kind === 'file' ? !found.isFile() : !found.isDirectory()) {
      const what = found.isSymbolicLink() ? 'is a symbolic link' : 'is in the way';
      throw new RpcError({ code: 'RPC_UNSAFE_OUTPUT_PATH', path, reason: `${current} ${what}` });
    }
  }
  return true;
}

async function isSameFile(
  target: string,
  { blob, sizeBytes }: ListedFolder['files'][number],
  signal: AbortSignal,
): Promise<boolean> {
  if ((await lstat(target)).size !== sizeBytes) return false;
  if (sizeBytes <= BLOB_LEAF_BYTES) return computeBlobId(await readFile(target, { signal })) === blob;
  const hasher = new BlobHasher();
  for await (const chunk of createReadStream(target, { signal })) hasher.update(chunk as Uint8Array);
  return hasher.finish().id === blob;
}
