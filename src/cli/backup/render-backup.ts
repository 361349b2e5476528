import { formatSize } from '../../lib/quantity.ts';
import type { VerifiedBackup } from '../../node/backup/verify-backup.ts';
import { plural, renderFields } from '../format.ts';

export function renderBackup({ head, end }: VerifiedBackup): string[] {
  const missing = end.missing === 0 ? '' : `, ${plural(end.missing, 'file')} gone while it was written`;
  return renderFields([
    ['node', head.peer],
    ['written', `${new Date(head.createdAtMs).toISOString()} by fogproof ${head.software}`],
    ['content', `${plural(end.files, 'file')}, ${plural(end.entries, 'entry', 'entries')}${missing}`],
    ['size', formatSize(end.bytes)],
    ['blobs', head.hasBlobs ? 'with inputs, outputs and snapshots' : 'without'],
  ]);
}
