/**
 * npm run soak [-- --minutes N --seed S --report FILE]: four daemons under a steady load, restarted and killed now and
 * then, judged by what they take and by their histories. Exit code 1 if anything is not as it has to be.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildExamples } from './build-examples.ts';
import { describeSoak, renderSoak } from './soak/report.ts';
import { Soak } from './soak/run.ts';

const HELP = `Usage: npm run soak [-- [--minutes N] [--seed S] [--report FILE]]

  --minutes N    how long the load lasts; 10 by default
  --seed S       of moments and choices; chosen anew by default
  --report FILE  also writes the result as Markdown`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const minutes = Number(values.minutes);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!(minutes > 0) || !Number.isInteger(seed)) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  console.log(`seed ${seed}`);
  // What was started goes when the process exits in order, which a signal by itself does not have it do.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(130));
  buildExamples({ isForced: false });
  await using soak = await Soak.open({ seconds: minutes * 60, seed, onProgress: (line) => console.log(line) });
  const report = await soak.execute();
  console.log(describeSoak(report));
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}`;
  if (values.report !== undefined) await writeFile(values.report, renderSoak(report, { minutes, machine }));
  if (report.problems.length > 0) process.exitCode = 1;
}

await main();
