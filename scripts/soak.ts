/**
 * npm run soak [-- --minutes N --seed S --report FILE]: four daemons under a steady load, restarted and killed now and
 * then, or with --churn twenty of which half come and go; judged by what they take and by their histories. Exit code 1 if
 * anything is not as it has to be.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildExamples } from './build-examples.ts';
import { type ChurnOptions, ChurnSoak, LEAST_DAEMONS } from './soak/churn.ts';
import { describeChurn, renderChurn } from './soak/churn-report.ts';
import { describeSoak, renderSoak } from './soak/report.ts';
import { Soak, type SoakOptions } from './soak/run.ts';

const HELP = `Usage: npm run soak [-- [--churn [--daemons N] [--keep FOLDER]] [--minutes N] [--seed S] [--report FILE]]

  --churn        many daemons under a light load, of which some come and go
  --daemons N    of these; 20 by default, ${LEAST_DAEMONS} at least
  --minutes N    how long the load lasts; 10 by default
  --seed S       of moments and choices; chosen anew by default
  --report FILE  also writes the result as Markdown
  --keep FOLDER  with --churn: keeps the homes and the logs of all daemons, in a new or empty folder`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string' },
      report: { type: 'string' },
      keep: { type: 'string' },
      churn: { type: 'boolean', default: false },
      daemons: { type: 'string', default: '20' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const minutes = Number(values.minutes);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const daemons = Number(values.daemons);
  const areDaemonsGood = Number.isInteger(daemons) && daemons >= LEAST_DAEMONS;
  if (!(minutes > 0) || !Number.isInteger(seed) || !areDaemonsGood) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  console.log(`seed ${seed}`);
  // What was started goes when the process exits in order, which a signal by itself does not have it do.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(130));
  buildExamples({ isForced: false });
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}`;
  const options = { seconds: minutes * 60, seed, onProgress: (line: string) => console.log(line) };
  const written = { minutes, machine };
  const { text, markdown, problems } = values.churn
    ? await runChurn({ ...options, daemons, keep: values.keep }, written)
    : await runSteady(options, written);
  console.log(text);
  if (values.report !== undefined) await writeFile(values.report, markdown);
  if (problems.length > 0) process.exitCode = 1;
}

interface Written {
  readonly minutes: number;
  readonly machine: string;
}

async function runSteady(options: SoakOptions, written: Written) {
  await using soak = await Soak.open(options);
  const report = await soak.execute();
  return { text: describeSoak(report), markdown: renderSoak(report, written), problems: report.problems };
}

async function runChurn(options: ChurnOptions, written: Written) {
  await using soak = await ChurnSoak.open(options);
  const report = await soak.execute();
  return { text: describeChurn(report), markdown: renderChurn(report, written), problems: report.problems };
}

await main();
