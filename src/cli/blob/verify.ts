import { z } from 'zod';
import type { BlobId } from '../../domain/ids.ts';
import { UsageError } from '../../lib/errors.ts';
import type { RpcClient } from '../../rpc/client.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';
import { findFolder, listBlobs } from './folder/find-folder.ts';

export const blobVerify = defineCommand({
  name: 'blob verify',
  summary: 'read blobs from disk and compare them with their ids',
  details:
    'Leaves (1 MiB each) that are damaged are let go; the sound ones stay, so that `fogproof blob get` fetches only those. Of a folder its lists and those of its files that are here are read. Exit code 1 if something was damaged.',
  arguments: [{ ...BLOB_ARGUMENT, isRequired: false }],
  options: z.strictObject({ all: z.boolean().default(false).describe('every blob that is here') }),
  examples: [
    { line: 'fogproof blob verify bafybei…', does: 'One blob.' },
    { line: 'fogproof blob verify --all', does: 'All of them, after a bad disk.' },
  ],
  run: async ({ arguments: [text], options: { all } }, context) => {
    const { output, signal } = context;
    if ((text === undefined) === !all) {
      throw new UsageError('name one blob, or give --all', 'See `fogproof blob verify --help`.');
    }
    await using client = await context.connect();
    const listed = all ? (await client.call('blob.list', { limit: 10_000 }, { signal })).blobs : [];
    const whole = listed.filter(({ bytesHere, sizeBytes }) => bytesHere === sizeBytes).map(({ blob }) => blob);
    const { blobs: wanted, missing } =
      text === undefined ? { blobs: whole, missing: 0 } : await listWanted(client, parseBlobArgument(text), signal);
    const checks = [];
    for (const [index, blob] of wanted.entries()) {
      output.progress(`checking ${index + 1} of ${wanted.length}`);
      checks.push(await client.call('blob.verify', { blob }, { signal }));
    }
    output.progress('');
    const damaged = checks.filter(({ damagedLeaves }) => damagedLeaves.length > 0);
    output.result({ checked: checks.length, damaged, ...(missing === 0 ? {} : { missing }) }, () => [
      ...damaged.map(
        ({ blob, leafCount, damagedLeaves }) => `${blob} DAMAGED: ${damagedLeaves.length} of ${leafCount} leaves`,
      ),
      `${plural(checks.length, 'blob')} checked, ${damaged.length} damaged`,
      ...(missing === 0 ? [] : [`${plural(missing, 'file')} of the folder not here`]),
    ]);
    return damaged.length === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
  },
});

async function listWanted(client: RpcClient, blob: BlobId, signal: AbortSignal) {
  const folder = await findFolder(client, { blob, signal });
  if (folder === undefined) return { blobs: [blob], missing: 0 };
  const here = folder.files.filter(({ isHere }) => isHere);
  return { blobs: listBlobs({ ...folder, files: here }), missing: folder.files.length - here.length };
}
