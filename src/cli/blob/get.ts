import { resolve } from 'node:path';
import { z } from 'zod';
import { isTreeId } from '../../domain/blob-tree.ts';
import { type BlobId, PeerKey } from '../../domain/ids.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { formatDuration, formatSize } from '../../lib/quantity.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import type { FetchedBlob } from '../../scheduler/transfer/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';
import type { ListedFolder } from './folder/find-folder.ts';
import { type GotFolder, getFolder } from './folder/get-folder.ts';

export const blobGet = defineCommand({
  name: 'blob get',
  summary: 'write a blob to a file, or a folder of them, and fetch it first if it is not here',
  details:
    'What is not here is fetched from the peers that are named and those that the DHT says have it, several at once, each leaf checked as it arrives. Blobs that their owner made public can be had; others go only to the parties of a job. A fetch that broke off goes on where it was. Of a folder all files are fetched, and written under the output; files that are there already stay if they are the same, and nothing is overwritten.',
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({
    output: z
      .string()
      .exactOptional()
      .describe('file, or folder, to write; without it the blob is only brought here')
      .meta({ short: 'o', placeholder: 'FILE' }),
    from: z.array(z.string()).default([]).describe('peer that has it').meta({ placeholder: 'PEER' }),
  }),
  examples: [
    { line: 'fogproof blob get bafybei… --output model.bin', does: 'From here, or from whoever has it.' },
    { line: 'fogproof blob get bafybei… --from 12D3KooW…', does: 'Bring it here from that peer.' },
    {
      line: 'fogproof blob get bafybei… --output models',
      does: 'Of the CID of a folder: all its files, under ./models.',
    },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { output, signal, workingDirectory } = context;
    const blob = parseBlobArgument(text);
    const peers = options.from.map((peer) => PeerKey(peer));
    const path = options.output === undefined ? undefined : resolve(workingDirectory, options.output);
    await using client = await context.connect();
    const write = async () =>
      path === undefined ? undefined : await client.call('blob.write', { blob, path }, { signal });
    const held = path === undefined ? undefined : await write().catch(ignoreMissing);
    if (held !== undefined) {
      output.result({ ...held, path, bytesMoved: 0 }, () => [`${path}  ${formatSize(held.sizeBytes)}`]);
      return EXIT_CODES.ok;
    }
    output.progress('fetching …');
    const found = await fetchBlob(client, { blob, peers, signal });
    if (found.kind === 'folder') {
      const got = await getFolder(client, { content: found.content, directory: path }, context);
      output.result(got, () => [renderFolder(got)]);
      return EXIT_CODES.ok;
    }
    const { fetched } = found;
    await write();
    output.progress('');
    const { sizeBytes, bytesMoved, durationMs } = fetched;
    output.result({ ...fetched, ...(path === undefined ? {} : { path }) }, () => [
      `${path ?? blob}  ${formatSize(sizeBytes)}, ${formatSize(bytesMoved)} moved in ${formatDuration(durationMs)}`,
    ]);
    return EXIT_CODES.ok;
  },
});

type Found =
  | { readonly kind: 'file'; readonly fetched: JsonForm<FetchedBlob> }
  | { readonly kind: 'folder'; readonly content: ListedFolder };

/** The id of a large file looks as that of a folder does: whichever there is comes. */
async function fetchBlob(
  client: RpcClient,
  { blob, peers, signal }: { readonly blob: BlobId; readonly peers: readonly PeerKey[]; readonly signal: AbortSignal },
): Promise<Found> {
  const asFile = async (): Promise<Found> => {
    return { kind: 'file', fetched: await client.call('blob.fetch', { blob, peers }, { signal }) };
  };
  if (!isTreeId(blob)) return await asFile();
  const asFolder = async (): Promise<Found> => {
    return { kind: 'folder', content: await client.call('blob.folder', { folder: blob, peers }, { signal }) };
  };
  try {
    return await Promise.any([asFile(), asFolder()]);
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    signal.throwIfAborted();
    const [ofFile, ofFolder] = error.errors as readonly unknown[];
    throw isNoFolder(ofFolder, blob) ? ofFile : ofFolder;
  }
}

/** Says nothing more than that there is no folder of that id to be had. */
function isNoFolder(error: unknown, blob: BlobId): boolean {
  if (!isDaemonError(error)) return false;
  if (error.code === 'NODE_NOT_A_FOLDER') return true;
  return error.code === 'TRANSFER_NO_SOURCE' && 'blob' in error.info && error.info.blob === blob;
}

function renderFolder({ path, folder, files, sizeBytes, bytesMoved, durationMs, written }: GotFolder): string {
  const there = path !== undefined && written < files ? ` (${files - written} were there)` : '';
  const moved = `${formatSize(bytesMoved)} moved in ${formatDuration(durationMs)}`;
  return `${path ?? folder}  ${plural(files, 'file')}${there}, ${formatSize(sizeBytes)}, ${moved}`;
}

function ignoreMissing(error: unknown): undefined {
  if (isDaemonError(error) && error.code === 'BLOB_NOT_FOUND') return undefined;
  throw error;
}
