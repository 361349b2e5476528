import { z } from 'zod';
import { formatSize } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatWhen, plural } from '../format.ts';
import { defineCommand } from '../interface.ts';

export const blobList = defineCommand({
  name: 'blob list',
  summary: 'list the blobs that are here',
  details:
    'Last used first. HERE is less than SIZE while a blob arrives. A blob goes when room is needed, what is seldom used first; not while a job or a transfer needs it.',
  arguments: [],
  options: z.strictObject({ limit: z.int().min(1).max(10_000).default(50).describe('most blobs to show') }),
  examples: [{ line: 'fogproof blob list --limit 10', does: 'The ten last used, and what all of them take.' }],
  run: async ({ options: { limit } }, context) => {
    const { output, signal } = context;
    await using client = await context.connect();
    const found = await client.call('blob.list', { limit }, { signal });
    const nowMs = Date.now();
    output.result(found, () => [
      ...output.table(
        ['BLOB', 'SIZE', 'HERE', 'USED', 'NOTES'],
        found.blobs.map((blob) => [
          blob.blob,
          formatSize(blob.sizeBytes),
          formatSize(blob.bytesHere),
          formatWhen(blob.lastUseMs, nowMs),
          describeNotes(blob),
        ]),
      ),
      `${plural(found.usage.blobs, 'blob')}, ${formatSize(found.usage.bytes)} of ${formatSize(found.usage.limitBytes)}`,
    ]);
    return EXIT_CODES.ok;
  },
});

function describeNotes(blob: {
  readonly isPrivate: boolean;
  readonly isPublic: boolean;
  readonly isPinned: boolean;
}): string {
  const notes = [blob.isPrivate ? 'private' : '', blob.isPublic ? 'public' : '', blob.isPinned ? 'in use' : ''];
  return notes.filter((note) => note !== '').join(', ');
}
