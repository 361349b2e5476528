import { resolve } from 'node:path';
import { z } from 'zod';
import { formatSize } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural, renderFields } from '../format.ts';
import { defineCommand } from '../interface.ts';

export const backupCreate = defineCommand({
  name: 'backup create',
  summary: 'write the whole data folder of the running node to one file',
  details:
    'The node goes on working: the database is that of one moment, with the files that it names. The file is a tar of mode 0600, there once it is whole. The identity is in it, encrypted as it is in the data folder.',
  arguments: [{ name: 'file', description: 'file to write; it must not be there yet', isRequired: true }],
  options: z.strictObject({
    noBlobs: z
      .boolean()
      .default(false)
      .describe('leave out inputs, outputs and snapshots that are not in the database'),
  }),
  examples: [
    { line: 'fogproof backup create /mnt/backup/node.tar', does: 'All of it.' },
    { line: 'fogproof backup create node.tar --no-blobs', does: 'Identity, configuration and jobs alone.' },
  ],
  run: async ({ arguments: [file = ''], options }, context) => {
    const { output, signal } = context;
    const path = resolve(context.workingDirectory, file);
    await using client = await context.connect();
    for await (const event of client.subscribe('node.backup', { path, blobs: !options.noBlobs }, { signal })) {
      if (event.kind === 'progress') {
        output.progress(`${plural(event.files, 'file')}, ${formatSize(event.bytes)}`);
        continue;
      }
      output.result(event, () =>
        renderFields([
          ['file', event.path],
          ['size', formatSize(event.bytes)],
          ['content', `${plural(event.files, 'file')}, ${plural(event.entries, 'entry', 'entries')}`],
          ...(event.missing === 0
            ? []
            : [['gone meanwhile', plural(event.missing, 'file')] satisfies [string, string]]),
          ['next', `fogproof backup verify ${file}`],
        ]),
      );
      for (const remark of event.remarks) output.note(remark);
    }
    return EXIT_CODES.ok;
  },
});
