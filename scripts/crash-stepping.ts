/**
 * npm run crash:stepping [-- --points N --seed S --report FILE]: disturbs stepping jobs of the examples on real daemons at
 * random moments and compares every state root, log, metric and result with an undisturbed run. Exit code 1 on a difference.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildExamples } from './build-examples.ts';
import { DISTURBANCES, type Disturbance, runSteppingFaults, type SteppingReport } from './crash-stepping/run.ts';

const HELP = `Usage: npm run crash:stepping [-- [--points N] [--seed S] [--report FILE]]

  --points N     how often a running job is hit; 1000 by default
  --seed S       of moments and kinds; chosen anew by default
  --report FILE  also writes the result as Markdown`;

function describe(report: SteppingReport): readonly (readonly [string, string])[] {
  const jobs = Object.entries(report.jobsByName).map(([name, count]) => `${name} ${count}`);
  return [
    ['points', String(report.points)],
    ...Object.entries(report.byKind).map(([kind, count]): [string, string] => [
      `of these: ${DISTURBANCES[kind as Disturbance]}`,
      String(count),
    ]),
    ['seed', String(report.seed)],
    ['jobs run to their end', `${report.jobs} (${jobs.join(', ')})`],
    ['attempts, and of these gone on from a snapshot', `${report.attempts}, ${report.resumedAttempts}`],
    ['state roots compared', String(report.comparedRoots)],
    ['differences', report.faults.length === 0 ? 'none' : String(report.faults.length)],
    ['time', `${Math.round(report.seconds)} s`],
  ];
}

function toMarkdown(report: SteppingReport): string {
  const rows = describe(report).map(([name, value]) => `| ${name} | ${value} |`);
  return `# Stepping jobs, disturbed at random moments

Written by \`npm run crash:stepping -- --points ${report.points} --seed ${report.seed}\` on ${new Date().toISOString().slice(0, 10)}
(${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}).

One requester and three providers, real daemons as processes on loopback with a lease of 3 s, run jobs of three examples,
four at a time. At random moments jobs are paused and resumed, or a daemon is killed (SIGKILL to it and its children) or
stopped, and started again. A point is one job that was hit while it ran. At its end each job is compared with an
undisturbed run of the same module, inputs and seed: outputs, fuel to the last unit, steps, every state root at every
checkpoint of all its attempts, and every log line and metric, each once and in order.

| what | found |
|---|---|
${rows.join('\n')}
${report.faults.map((fault) => `\n- ${fault}`).join('')}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      points: { type: 'string', default: '1000' },
      seed: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const points = Number(values.points);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!Number.isInteger(points) || points < 0 || !Number.isInteger(seed)) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  console.log(`seed ${seed}`);
  buildExamples({ isForced: false });
  const report = await runSteppingFaults({
    points,
    seed,
    onProgress: ({ points: done, jobs, faults }) => {
      console.log(`${done} points, ${jobs} jobs, ${faults.length} differences`);
    },
  });
  for (const [name, value] of describe(report)) console.log(`${name.padEnd(60)} ${value}`);
  for (const fault of report.faults) console.error(fault);
  if (values.report !== undefined) await writeFile(values.report, toMarkdown(report));
  if (report.faults.length > 0) process.exitCode = 1;
}

await main();
