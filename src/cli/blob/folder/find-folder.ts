import { isTreeId } from '../../../domain/blob-tree.ts';
import type { BlobId } from '../../../domain/ids.ts';
import { isDaemonError, UsageError } from '../../../lib/errors.ts';
import type { RpcClient } from '../../../rpc/client.ts';
import type { FolderContent } from '../../../rpc/interface.ts';
import type { JsonForm } from '../../../rpc/json-form.ts';

export type ListedFolder = JsonForm<FolderContent>;

interface Search {
  readonly blob: BlobId;
  readonly signal: AbortSignal;
}

/** The folder of this id, as far as it is here; undefined if it is none, or its list is not here. */
export async function findFolder(client: RpcClient, { blob, signal }: Search): Promise<ListedFolder | undefined> {
  if (!isTreeId(blob)) return undefined;
  try {
    return await client.call('blob.folder', { folder: blob, local: true }, { signal });
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    if (error.code === 'NODE_NOT_A_FOLDER') return undefined;
    if (error.code !== 'BLOB_NOT_FOUND') throw error;
    if ('blob' in error.info && error.info.blob === blob) return undefined;
    throw new UsageError(`the list of a folder in ${blob} is not here`, bringFirst(blob), { cause: error });
  }
}

function bringFirst(folder: BlobId): string {
  return `Bring it here first: fogproof blob get ${folder}`;
}

/**
 * Every blob of a folder once: its lists, the outermost one first, then its files. Blobs are told to the DHT in the order in
 * which they are shared, and who has the outermost list is asked for all the rest.
 */
export function listBlobs({ folders, files }: ListedFolder): readonly BlobId[] {
  const lists = folders.toSorted((a, b) => a.path.length - b.path.length);
  return [...new Set([...lists, ...files].map(({ blob }) => blob))];
}

/** @throws UsageError if files of it are not here */
export function assertWhole({ folder, files }: ListedFolder): void {
  const missing = files.filter(({ isHere }) => !isHere).length;
  if (missing === 0) return;
  throw new UsageError(
    `${missing} of the ${files.length} files of the folder ${folder} are not here`,
    bringFirst(folder),
  );
}
