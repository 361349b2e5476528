/**
 * npm test: builds, then runs every suite from the quickest to the slowest, all of them even if one fails, and ends with
 * `N passed, N failed, N skipped`. Exit code 0 only if nothing failed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pc from 'picocolors';
import { build } from './build.ts';
import { buildExamples } from './build-examples.ts';
import { REPORT_FILE_VARIABLE, type SkippedTest, type TestReport } from './test-reporter.ts';

const ROOT = join(import.meta.dirname, '..');

interface Group {
  readonly title: string;
  readonly projects: readonly string[];
  /** Not a part of the whole: it runs where it is named. */
  readonly isExtra?: true;
}

const GROUPS: readonly Group[] = [
  { title: 'unit and vectors', projects: ['unit', 'vectors'] },
  // In one run: while daemons wait for leases and slots, the others compute.
  { title: 'contract, integration and end to end', projects: ['contract', 'integration', 'programs', 'e2e'] },
  { title: 'interoperability', projects: ['interop'], isExtra: true },
];

const HELP = `Usage: npm test [-- OPTION...]

  --ci            a skipped test is a failure unless what it lacks is hardware or a permission
  --group TITLE   only the groups whose title contains TITLE (${GROUPS.map(({ title }) => title).join('; ')})
  --help          this text`;

interface GroupResult {
  readonly title: string;
  readonly seconds: number;
  readonly report: TestReport;
}

function main(args: readonly string[]): void {
  if (args.includes('--help')) return console.log(HELP);
  const startedAtMs = performance.now();
  const wanted = args.includes('--group') ? (args[args.indexOf('--group') + 1] ?? '') : '';
  if (!prepare()) {
    process.exitCode = 1;
    return;
  }
  const isWanted = ({ title, isExtra }: Group): boolean => (wanted === '' ? isExtra !== true : title.includes(wanted));
  const results = GROUPS.filter(isWanted).map(runGroup);
  printSummary(results, (performance.now() - startedAtMs) / 1000);
  const skipped = results.flatMap(({ report }) => report.skipped);
  const unexpected = args.includes('--ci')
    ? skipped.filter(({ kind }) => kind !== 'hardware' && kind !== 'permission')
    : [];
  if (unexpected.length > 0)
    console.error(pc.red(`${unexpected.length} tests were skipped that must run here (--ci).`));
  if (unexpected.length > 0 || results.some(({ report }) => report.failed.length > 0)) process.exitCode = 1;
}

function prepare(): boolean {
  printTitle('build');
  if (!build()) {
    console.error(pc.red('The build failed; nothing was tested.'));
    return false;
  }
  for (const module of buildExamples({ isForced: false })) console.log(module.slice(ROOT.length + 1));
  return true;
}

function runGroup(group: Group): GroupResult {
  printTitle(group.title);
  const startedAtMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'fogproof-test-'));
  const reportFile = join(folder, 'report.json');
  try {
    const { status } = spawnSync(
      process.execPath,
      [
        join(ROOT, 'node_modules/vitest/vitest.mjs'),
        'run',
        ...group.projects.flatMap((project) => ['--project', project]),
        '--reporter=default',
        `--reporter=${join(ROOT, 'scripts/test-reporter.ts')}`,
      ],
      { cwd: ROOT, stdio: 'inherit', env: { ...process.env, [REPORT_FILE_VARIABLE]: reportFile } },
    );
    return {
      title: group.title,
      seconds: (performance.now() - startedAtMs) / 1000,
      report: readReport(reportFile, status),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A run that ended badly without saying of what counts as one failure: it must not look like a pass. */
function readReport(file: string, status: number | null): TestReport {
  const report = parseReport(file);
  const isExplained = status === 0 || report.failed.length > 0;
  return isExplained ? report : { ...report, failed: [`vitest ended with ${status ?? 'a signal'}`] };
}

function parseReport(file: string): TestReport {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as TestReport;
  } catch {
    return { passed: 0, failed: ['vitest wrote no report'], skipped: [] };
  }
}

function printSummary(results: readonly GroupResult[], seconds: number): void {
  printTitle('summary');
  for (const { title, seconds: taken, report } of results) {
    console.log(`${title.padEnd(38)} ${formatCounts(report).padEnd(40)} ${taken.toFixed(1)} s`);
  }
  printSkipped(results.flatMap(({ report }) => report.skipped));
  for (const name of results.flatMap(({ report }) => report.failed)) console.log(pc.red(`failed: ${name}`));
  const total: TestReport = {
    passed: results.reduce((sum, { report }) => sum + report.passed, 0),
    failed: results.flatMap(({ report }) => report.failed),
    skipped: results.flatMap(({ report }) => report.skipped),
  };
  console.log(`\nfinished in ${seconds.toFixed(0)} s\n${formatCounts(total)}`);
}

function printSkipped(skipped: readonly SkippedTest[]): void {
  const byReason = Map.groupBy(skipped, ({ kind, reason }) => `${kind}: ${reason}`);
  for (const [reason, tests] of byReason) {
    console.log(pc.yellow(`skipped ${tests.length} (${reason})`));
    for (const { name } of tests) console.log(pc.dim(`  ${name}`));
  }
}

function formatCounts({ passed, failed, skipped }: TestReport): string {
  return `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;
}

function printTitle(title: string): void {
  console.log(pc.bold(`\n── ${title} ──`));
}

main(process.argv.slice(2));
