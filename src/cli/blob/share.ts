import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';

export const blobShare = defineCommand({
  name: 'blob share',
  summary: 'make a blob public',
  details:
    'Anybody who knows its CID may then fetch it from this node, and the DHT is told that this node has it. Private blobs cannot be shared.',
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof blob share bafybei…', does: 'Others get it with `fogproof blob get bafybei…`.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { output, signal } = context;
    const blob = parseBlobArgument(text);
    await using client = await context.connect();
    await client.call('blob.share', { blob }, { signal });
    output.result({ blob, isPublic: true }, () => [`${blob} is public`]);
    return EXIT_CODES.ok;
  },
});

export const blobUnshare = defineCommand({
  name: 'blob unshare',
  summary: 'end that a blob is public',
  details: "Others' copies stay, and so do records in the DHT until they expire.",
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof blob unshare bafybei…', does: 'From now on only parties of a job may have it.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const { output, signal } = context;
    const blob = parseBlobArgument(text);
    await using client = await context.connect();
    const { wasPublic } = await client.call('blob.unshare', { blob }, { signal });
    output.result({ blob, wasPublic }, () => [wasPublic ? `${blob} is no longer public` : `${blob} was not public`]);
    return EXIT_CODES.ok;
  },
});
