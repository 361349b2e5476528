/**
 * npm run fuzz:wasm [-- --runs N --seed S]: random valid modules, run plain and instrumented under every compiler tier.
 * Ends with exit code 1 if any differs.
 */
import { parseArgs } from 'node:util';
import { type FuzzReport, fuzz } from './fuzz-wasm/session.ts';

const HELP = `Usage: npm run fuzz:wasm [-- [--runs N] [--seed S] [--verbose]]

  --runs N    modules to try; 500 by default
  --seed S    seed of the first module, the others follow; by the time of day by default
  --verbose   prints a line for each module

Each module is made by binaryen's --translate-to-fuzz, made self-contained, and run plain and instrumented, under Liftoff
alone, TurboFan alone and both: calls of all its exports, what it tells its host, traps, memory, globals, tables and fuel
have to be equal. A module that differs is named by its seed: run it again with --runs 1 --seed S --verbose.`;

const PROGRESS_EVERY = 100;

function print(report: FuzzReport, seed: number): void {
  const list = (counts: ReadonlyMap<string, number>): string =>
    counts.size === 0 ? 'none' : [...counts].map(([key, value]) => `${value} ${key}`).join(', ');
  console.log(`modules          ${report.runs}, seeds ${seed} to ${seed + report.runs - 1}`);
  console.log(`same             ${report.same} (${report.calls} calls, ${report.traps} of them trapped)`);
  console.log(`fuel             ${report.fuel}, equal to the unit under all tiers`);
  console.log(`cut short        ${list(report.cutShort)}`);
  console.log(`with a proposal that is refused  ${list(report.refused)}`);
  console.log(`not generated    ${report.notGenerated}`);
  console.log(`time             ${Math.round(report.seconds)} s`);
  console.log(`different        ${report.failures.length}`);
  for (const { seed: failed, what, length } of report.failures) {
    console.log(`  seed ${failed}${length === null ? '' : ` (also with ${length} bytes of input)`}: ${what}`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '500' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const [runs, seed] = [Number(values.runs), Number(values.seed)];
  if (!Number.isInteger(runs) || !Number.isInteger(seed) || runs < 1 || seed < 0) {
    console.error('--runs and --seed take whole numbers');
    process.exitCode = 2;
    return;
  }
  const report = await fuzz({
    runs,
    seed,
    onVerdict: (at, verdict) => {
      if (values.verbose || verdict.kind === 'differs') console.log(at, verdict);
      else if ((at - seed + 1) % PROGRESS_EVERY === 0) console.log(`${at - seed + 1} of ${runs}`);
    },
  });
  print(report, seed);
  if (report.failures.length > 0) process.exitCode = 1;
}

await main();
