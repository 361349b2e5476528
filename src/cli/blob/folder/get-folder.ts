import { formatSize } from '../../../lib/quantity.ts';
import type { RpcClient } from '../../../rpc/client.ts';
import type { CliContext } from '../../interface.ts';
import type { ListedFolder } from './find-folder.ts';
import { type PlannedWrite, planWrites } from './plan-writes.ts';

/** Files on their way at a time: the wait for one that is small is spent on others. */
const FILES_AT_ONCE = 4;

export interface FolderGet {
  readonly content: ListedFolder;
  /** Absolute; undefined to bring it here only. */
  readonly directory: string | undefined;
}

export interface GotFolder {
  readonly folder: string;
  readonly files: number;
  readonly sizeBytes: number;
  /** Over the network. */
  readonly bytesMoved: number;
  readonly durationMs: number;
  /** Files that were not in the directory already. */
  readonly written: number;
  readonly path?: string;
}

type Wanted = ListedFolder['files'][number] & Partial<Pick<PlannedWrite, 'target'>>;

/** Brings all files of a folder here and writes those that are not in the directory yet. */
export async function getFolder(
  client: RpcClient,
  { content, directory }: FolderGet,
  { output, signal }: Pick<CliContext, 'output' | 'signal'>,
): Promise<GotFolder> {
  const startedMs = performance.now();
  const writes = directory === undefined ? undefined : await planWrites(directory, content, signal);
  const wanted: readonly Wanted[] = writes?.filter(({ isThere }) => !isThere) ?? content.files;
  const totalBytes = sumSizes(wanted);
  let [bytesMoved, files, bytes] = [0, 0, 0];
  await forEachAtOnce(wanted, signal, async ({ blob, sizeBytes, isHere, target }, abort) => {
    output.progress(
      `fetching: ${files} of ${wanted.length} files, ${formatSize(bytes)} of ${formatSize(totalBytes)} are there`,
    );
    const request = { blob, peers: content.sources, sizeBytes };
    const fetched = isHere ? undefined : await client.call('blob.fetch', request, { signal: abort });
    // Read after the wait: others add to it meanwhile.
    bytesMoved += fetched?.bytesMoved ?? 0;
    if (target !== undefined) await client.call('blob.write', { blob, path: target }, { signal: abort });
    files += 1;
    bytes += sizeBytes;
  });
  output.progress('');
  return {
    folder: content.folder,
    files: content.files.length,
    sizeBytes: sumSizes(content.files),
    bytesMoved,
    durationMs: performance.now() - startedMs,
    written: directory === undefined ? 0 : wanted.length,
    ...(directory === undefined ? {} : { path: directory }),
  };
}

function sumSizes(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The first failure ends what else is under way. */
async function forEachAtOnce<Item>(
  items: readonly Item[],
  signal: AbortSignal,
  run: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  const queue = items.values();
  const work = async (): Promise<void> => {
    try {
      for (const item of queue) await run(item, both);
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, work));
}
