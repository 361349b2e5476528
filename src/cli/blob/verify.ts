import { z } from 'zod';
import { UsageError } from '../../lib/errors.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { BLOB_ARGUMENT, parseBlobArgument } from './blob-argument.ts';

export const blobVerify = defineCommand({
  name: 'blob verify',
  summary: 'read blobs from disk and compare them with their ids',
  details:
    'Leaves (1 MiB each) that are damaged are let go; the sound ones stay, so that `fogproof blob get` fetches only those. Exit code 1 if something was damaged.',
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
    const wanted = text === undefined ? whole : [parseBlobArgument(text)];
    const checks = [];
    for (const [index, blob] of wanted.entries()) {
      output.progress(`checking ${index + 1} of ${wanted.length}`);
      checks.push(await client.call('blob.verify', { blob }, { signal }));
    }
    output.progress('');
    const damaged = checks.filter(({ damagedLeaves }) => damagedLeaves.length > 0);
    output.result({ checked: checks.length, damaged }, () => [
      ...damaged.map(
        ({ blob, leafCount, damagedLeaves }) => `${blob} DAMAGED: ${damagedLeaves.length} of ${leafCount} leaves`,
      ),
      `${plural(checks.length, 'blob')} checked, ${damaged.length} damaged`,
    ]);
    return damaged.length === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
  },
});
