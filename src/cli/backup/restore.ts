import { resolve } from 'node:path';
import { z } from 'zod';
import { restoreBackup } from '../../node/backup/restore-backup.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { findLocations } from '../framework/locations.ts';
import { defineCommand } from '../interface.ts';
import { renderBackup } from './render-backup.ts';

export const backupRestore = defineCommand({
  name: 'backup restore',
  summary: 'make a data folder from a backup',
  details:
    'The folder, given with --home, must be empty or not there. It is there once the whole backup was checked, or not at all. Never run the same identity twice: stop the old node for good first. Needs no daemon.',
  arguments: [{ name: 'file', description: 'file that `fogproof backup create` wrote', isRequired: true }],
  options: z.strictObject({}),
  examples: [
    { line: 'fogproof backup restore node.tar --home /srv/fog', does: 'Into a new folder.' },
    {
      line: 'fogproof backup restore node.tar --home /srv/fog && fogproof node start --home /srv/fog',
      does: 'And start it, with the old node stopped for good.',
    },
  ],
  run: async ({ arguments: [file = ''] }, context) => {
    const { home } = findLocations(context);
    const path = resolve(context.workingDirectory, file);
    context.output.progress('reading the backup …');
    const { head, end } = await restoreBackup(path, { home, signal: context.signal });
    context.output.result({ home, head, end }, () => [
      ...renderBackup({ head, end }),
      ...renderFields([
        ['data folder', home],
        ['next', 'stop the old node for good, then fogproof node start'],
      ]),
    ]);
    context.output.note(
      `Two daemons under the identity ${head.peer} harm each other: what the old one did since is not known to this one.`,
    );
    return EXIT_CODES.ok;
  },
});
