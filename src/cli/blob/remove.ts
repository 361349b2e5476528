import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';
import { findFolder, listBlobs } from './folder/find-folder.ts';

export const blobRemove = defineCommand({
  name: 'blob remove',
  summary: 'remove a blob from this node',
  details:
    'Refused while a job or a transfer needs it. If it was public, it is no longer. Of a folder all files and lists go, also where another folder has them.',
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof blob remove bafybei…', does: 'Free its room now.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { output, signal } = context;
    const blob = parseBlobArgument(text);
    await using client = await context.connect();
    const folder = await findFolder(client, { blob, signal });
    let wasHere = false;
    // The lists last: without them nobody could say what is left of it.
    for (const each of folder === undefined ? [blob] : listBlobs(folder).toReversed()) {
      const answer = await client.call('blob.remove', { blob: each }, { signal });
      wasHere ||= answer.wasHere;
    }
    output.result({ blob, wasHere }, () => [wasHere ? `${blob} is removed` : `${blob} was not here`]);
    return EXIT_CODES.ok;
  },
});
