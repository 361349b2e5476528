import { resolve } from 'node:path';
import { z } from 'zod';
import { PeerKey } from '../../domain/ids.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { formatDuration, formatSize } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';

export const blobGet = defineCommand({
  name: 'blob get',
  summary: 'write a blob to a file, and fetch it first if it is not here',
  details:
    'What is not here is fetched from the peers that are named and those that the DHT says have it, several at once, each leaf checked as it arrives. Blobs that their owner made public can be had; others go only to the parties of a job. A fetch that broke off goes on where it was.',
  arguments: [BLOB_ARGUMENT],
  options: z.strictObject({
    output: z
      .string()
      .exactOptional()
      .describe('file to write; without it the blob is only brought here')
      .meta({ short: 'o', placeholder: 'FILE' }),
    from: z.array(z.string()).default([]).describe('peer that has it').meta({ placeholder: 'PEER' }),
  }),
  examples: [
    { line: 'fogproof blob get bafybei… --output model.bin', does: 'From here, or from whoever has it.' },
    { line: 'fogproof blob get bafybei… --from 12D3KooW…', does: 'Bring it here from that peer.' },
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
    const fetched = await client.call('blob.fetch', { blob, peers }, { signal });
    await write();
    output.progress('');
    const { sizeBytes, bytesMoved, durationMs } = fetched;
    output.result({ ...fetched, ...(path === undefined ? {} : { path }) }, () => [
      `${path ?? blob}  ${formatSize(sizeBytes)}, ${formatSize(bytesMoved)} moved in ${formatDuration(durationMs)}`,
    ]);
    return EXIT_CODES.ok;
  },
});

function ignoreMissing(error: unknown): undefined {
  if (isDaemonError(error) && error.code === 'BLOB_NOT_FOUND') return undefined;
  throw error;
}
