/** Runs a published suite of others, unchanged, against a local chain, and counts. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readAccountFile } from '../src/cli/localnet/read-account-file.ts';
import { SystemClock } from '../src/lib/clock.ts';
import { isDaemonError, UsageError } from '../src/lib/errors.ts';
import { SystemRandom } from '../src/lib/random.ts';
import { LiteLocalChain } from '../src/localnet/lite-local-chain.ts';
import type { GenesisAccount } from '../src/localnet/options.ts';
import { NoopLogger } from '../src/telemetry/noop-logger.ts';
import { type MochaReport, runMocha } from './third-party/run-mocha.ts';
import { SUITES, type Suite } from './third-party/suites.ts';

const HELP = `Usage: scripts/node scripts/run-third-party-suite.ts CHECKOUT [OPTION...]

Starts a local chain on ports 8899 and 8900, which these suites are written for, and runs the tests of a checkout
against it as they are: the live tests of @solana/web3.js 1.x, or the end-to-end tests of @solana/spl-token. The checkout
must have its development dependencies and tsx installed.

  --baseline   runs the suite without a chain first: what passes then needs none, and is not counted as shown
  --slot-ms N  length of a slot (400)
  --help       this text

Exit code 1 if a case fails that applies.`;

/** Accounts that the suite's own script gives its validator. */
const FIXTURES = 'scripts/fixtures';

interface Result {
  readonly suite: Suite;
  readonly report: MochaReport;
  readonly withoutChain: MochaReport | undefined;
}

async function main(argv: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      help: { type: 'boolean' },
      baseline: { type: 'boolean' },
      'slot-ms': { type: 'string', default: '400' },
    },
  });
  const [given] = positionals;
  if (values.help === true || given === undefined) return console.log(HELP);
  const checkout = resolve(given);
  const { name, suites } = await findSuites(checkout);
  console.log(`${name} in ${checkout}`);
  const results: Result[] = [];
  for (const suite of suites) {
    const withoutChain = values.baseline === true ? await runMocha(suite, checkout) : undefined;
    const report = await runWithChain(suite, checkout, Number(values['slot-ms']));
    results.push({ suite, report, withoutChain });
  }
  printTable(results);
  if (results.some(({ suite, report }) => unexpectedFailures(suite, report).length > 0)) process.exitCode = 1;
}

async function findSuites(checkout: string): Promise<{ readonly name: string; readonly suites: readonly Suite[] }> {
  const path = join(checkout, 'package.json');
  if (!existsSync(path)) throw new UsageError(`${path} is not there`, 'Give the folder of a checkout.');
  const manifest: unknown = JSON.parse(await readFile(path, 'utf8'));
  const name = typeof manifest === 'object' && manifest !== null && 'name' in manifest ? String(manifest.name) : '';
  const suites = SUITES.filter(({ packageName }) => packageName === name);
  if (suites.length === 0) {
    throw new UsageError(
      `${name} is no suite that is known here`,
      'Give a checkout of @solana/web3.js 1.x or @solana/spl-token.',
    );
  }
  return { name, suites };
}

async function runWithChain(suite: Suite, checkout: string, slotMs: number): Promise<MochaReport> {
  await using chain = new LiteLocalChain(
    { clock: new SystemClock(), random: new SystemRandom(), logger: new NoopLogger() },
    { directory: null, slotMs, accounts: await readFixtures(join(checkout, FIXTURES)) },
  );
  await chain.start({ signal: AbortSignal.timeout(30_000) });
  return await runMocha(suite, checkout);
}

async function readFixtures(folder: string): Promise<readonly GenesisAccount[]> {
  if (!existsSync(folder)) return [];
  const files = (await readdir(folder)).filter((file) => file.endsWith('.json'));
  return await Promise.all(files.map((file) => readAccountFile(join(folder, file))));
}

function unexpectedFailures(suite: Suite, report: MochaReport): MochaReport['failures'] {
  return report.failures.filter(({ fullTitle }) => suite.notApplicable[fullTitle] === undefined);
}

function printTable(results: readonly Result[]): void {
  console.log('\n| suite | cases run | passed | of these, fail without a chain | do not apply | failed |');
  console.log('|---|---|---|---|---|---|');
  for (const { suite, report, withoutChain } of results) {
    const failed = unexpectedFailures(suite, report).length;
    const skipped = report.failures.length - failed;
    const needless = withoutChain === undefined ? undefined : countShared(report, withoutChain);
    const shown = needless === undefined ? 'not measured' : String(report.passes.length - needless);
    const run = report.passes.length + report.failures.length;
    console.log(`| ${suite.name} | ${run} | ${report.passes.length} | ${shown} | ${skipped} | ${failed} |`);
  }
  for (const { suite, report } of results) {
    for (const { fullTitle, err } of report.failures) {
      const reason = suite.notApplicable[fullTitle];
      const text = reason === undefined ? `FAILED: ${err?.message?.split('\n')[0] ?? ''}` : `does not apply: ${reason}`;
      console.log(`- ${suite.name}: "${fullTitle}" ${text}`);
    }
  }
}

/** Cases of the same title are told apart by their number. */
function countShared(report: MochaReport, other: MochaReport): number {
  const left = new Map<string, number>();
  for (const { fullTitle } of other.passes) left.set(fullTitle, (left.get(fullTitle) ?? 0) + 1);
  return report.passes.filter(({ fullTitle }) => {
    const count = left.get(fullTitle) ?? 0;
    left.set(fullTitle, count - 1);
    return count > 0;
  }).length;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!isDaemonError(error) && !(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n${error.hint}`);
  process.exitCode = 2;
}
