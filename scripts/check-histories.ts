/**
 * npm run check:histories -- FOLDER... [--json] [--allow-running] [--acknowledged FILE]: reads the data folders of all
 * nodes of a run and proves or refutes the invariants of docs/histories.md. Exit code 1 on a violation, 2 if it could not be told.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { DaemonError, UsageError } from '../src/lib/errors.ts';
import { checkHistories } from './check-histories/check-histories.ts';
import { renderReport } from './check-histories/render-report.ts';

const HELP = `Usage: npm run check:histories -- FOLDER... [--json] [--allow-running] [--acknowledged FILE]

  FOLDER               data folder of a stopped node; name those of all nodes of the run
  --json               prints the report as JSON
  --allow-running      jobs need not have ended; they have to be able to go on
  --acknowledged FILE  ids of jobs that clients were told of, one in a line: none of them may be missing`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      'allow-running': { type: 'boolean', default: false },
      acknowledged: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const acknowledged = values.acknowledged === undefined ? [] : await readIds(values.acknowledged);
  const report = await checkHistories(positionals, { acknowledged, allowRunning: values['allow-running'] });
  console.log(values.json ? JSON.stringify(report, null, 2) : renderReport(report));
  if (!report.ok) process.exitCode = 1;
}

async function readIds(path: string): Promise<readonly string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '');
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof DaemonError)) throw error;
  console.error(`${error.message}. ${error.hint}`);
  process.exitCode = 2;
}
