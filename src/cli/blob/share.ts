import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';
import { assertWhole, findFolder, type ListedFolder, listBlobs } from './folder/find-folder.ts';

export const blobShare = defineCommand({
  name: 'blob share',
  summary: 'make a blob public',
  details:
    'Anybody who knows its CID may then fetch it from this node, and the DHT is told that this node has it. Private blobs cannot be shared. Of a folder all files and lists become public; they must be here.',
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof blob share bafybei…', does: 'Others get it with `fogproof blob get bafybei…`.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { output, signal } = context;
    const blob = parseBlobArgument(text);
    await using client = await context.connect();
    const folder = await findFolder(client, { blob, signal });
    if (folder !== undefined) assertWhole(folder);
    for (const each of folder === undefined ? [blob] : listBlobs(folder)) {
      await client.call('blob.share', { blob: each }, { signal });
    }
    output.result({ blob, isPublic: true, ...countFiles(folder) }, () => [`${blob}${describeFiles(folder)} is public`]);
    return EXIT_CODES.ok;
  },
});

export const blobUnshare = defineCommand({
  name: 'blob unshare',
  summary: 'end that a blob is public',
  details:
    "Others' copies stay, and so do records in the DHT until they expire. Of a folder no file is public any longer, also if another folder has it.",
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof blob unshare bafybei…', does: 'From now on only parties of a job may have it.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { output, signal } = context;
    const blob = parseBlobArgument(text);
    await using client = await context.connect();
    const folder = await findFolder(client, { blob, signal });
    let wasPublic = false;
    for (const each of folder === undefined ? [blob] : listBlobs(folder)) {
      const answer = await client.call('blob.unshare', { blob: each }, { signal });
      wasPublic ||= answer.wasPublic;
    }
    output.result({ blob, wasPublic, ...countFiles(folder) }, () => [
      `${blob}${describeFiles(folder)} ${wasPublic ? 'is no longer public' : 'was not public'}`,
    ]);
    return EXIT_CODES.ok;
  },
});

function countFiles(folder: ListedFolder | undefined): { readonly files?: number } {
  return folder === undefined ? {} : { files: folder.files.length };
}

function describeFiles(folder: ListedFolder | undefined): string {
  return folder === undefined ? '' : ` (folder, ${plural(folder.files.length, 'file')})`;
}
