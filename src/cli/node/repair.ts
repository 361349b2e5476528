import { z } from 'zod';
import { SystemClock } from '../../lib/clock.ts';
import type { RepairReport } from '../../node/repair/interface.ts';
import { repairHome } from '../../node/repair/repair-home.ts';
import { NoopLogger } from '../../telemetry/noop-logger.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { plural, renderFields } from '../format.ts';
import { findLocations } from '../framework/locations.ts';
import { defineCommand } from '../interface.ts';

/** Entries that are named one by one; all are in the file that the report names, and in --json. */
const NAMED_ENTRIES = 20;

export const nodeRepair = defineCommand({
  name: 'node repair',
  summary: 'mend a damaged database, and say what is lost',
  details:
    'The daemon must be stopped. What is whole is saved, what is damaged is moved to `damaged` in the data folder, and what can be made again from other entries is, at the next start. Exit code 1 if anything is lost.',
  arguments: [],
  options: z.strictObject({
    check: z.boolean().default(false).describe('say what is damaged, and change nothing'),
  }),
  examples: [
    { line: 'fogproof node repair --check', does: 'Look at every file and every entry.' },
    { line: 'fogproof node repair', does: 'Mend what is damaged.' },
  ],
  run: async ({ options }, context) => {
    const { home } = findLocations(context);
    context.output.progress('reading the database …');
    const modules = { clock: new SystemClock(), logger: new NoopLogger() };
    const report = await repairHome(modules, { home, mode: options.check ? 'check' : 'repair' });
    context.output.result(report, () => renderReport(report));
    return exitCodeOf(report);
  },
});

function exitCodeOf({ files, damagedEntries, incomplete }: RepairReport): ExitCode {
  return files.length + damagedEntries.length + incomplete.length === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
}

function renderReport(report: RepairReport): string[] {
  const { schema, damagedEntries } = report;
  const lines = renderFields([
    ['database', report.database],
    ['schema', renderSchema(schema)],
    ['entries', `${report.entries}, of these damaged ${damagedEntries.length}`],
  ]);
  for (const { file, reason } of report.files) lines.push(`damaged file  ${file}: ${reason}`);
  for (const { file, lost } of report.lostFiles) lines.push(`lost from     ${file}: ${lost}`);
  for (const entry of damagedEntries.slice(0, NAMED_ENTRIES)) {
    lines.push(`damaged entry ${entry.namespace}/${entry.key}`);
    lines.push(`              ${entry.reason}; ${entry.consequence}`);
  }
  const more = damagedEntries.length - NAMED_ENTRIES;
  if (more > 0) lines.push(`              and ${plural(more, 'more entry', 'more entries')}`);
  for (const sentence of report.incomplete) lines.push(`incomplete    ${sentence}`);
  if (report.mayHoldDeleted) lines.push('note          entries that were deleted may be back');
  for (const kept of [report.keptDatabase, report.keptEntries]) if (kept !== null) lines.push(`kept at       ${kept}`);
  if (exitCodeOf(report) === EXIT_CODES.ok) lines.push('all is whole');
  return lines;
}

function renderSchema({ found, current, changes }: RepairReport['schema']): string {
  if (found === null) return 'not known';
  if (found === current) return `version ${found}`;
  return `version ${found}; the next start brings it to ${current} (${plural(changes, 'change')})`;
}
