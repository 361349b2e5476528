import { resolve } from 'node:path';
import { z } from 'zod';
import { verifyBackup } from '../../node/backup/verify-backup.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { renderBackup } from './render-backup.ts';

export const backupVerify = defineCommand({
  name: 'backup verify',
  summary: 'read a backup from end to end, and check its hashes and its signature',
  details: 'Needs no daemon. Exit code 1 if it is not as the node wrote it.',
  arguments: [{ name: 'file', description: 'file that `fogproof backup create` wrote', isRequired: true }],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof backup verify node.tar', does: 'Before it is needed.' }],
  run: async ({ arguments: [file = ''] }, context) => {
    const path = resolve(context.workingDirectory, file);
    context.output.progress('reading the backup …');
    const { head, end } = await verifyBackup(path, { signal: context.signal });
    context.output.result({ path, head, end }, () => [...renderBackup({ head, end }), 'it is whole']);
    return EXIT_CODES.ok;
  },
});
