/**
 * npm run crash:anchoring [-- --kills N --seed S --report FILE]: kills a process that anchors receipts at random moments
 * and looks in the chain's history whether every receipt is under exactly one root. Ends with exit code 1 if not.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type CrashReport, runCrashes } from './crash-anchoring/run.ts';

const HELP = `Usage: npm run crash:anchoring [-- [--kills N] [--seed S] [--report FILE]]

  --kills N      how often the process is killed; 200 by default
  --seed S       of moments, leaves and keys; chosen anew by default
  --report FILE  also writes the result as Markdown`;

function describe(report: CrashReport): readonly (readonly [string, string])[] {
  return [
    ['kills (SIGKILL)', `${report.kills}, ${report.duringStart} of them before the process had started`],
    ['seed', String(report.seed)],
    ['leaves given', String(report.leavesGiven)],
    ['roots of this node in the log', String(report.roots)],
    ['roots of a second writer between them', String(report.rivalRoots)],
    ['transactions of the log', `${report.transactions}, ${report.failedTransactions} of them failed on chain`],
    ['leaves under exactly one root', `${report.leaves} of ${report.leavesGiven}`],
    ['lost, doubled or unknown', report.faults.length === 0 ? 'none' : String(report.faults.length)],
    ['time', `${Math.round(report.seconds)} s`],
  ];
}

function toMarkdown(report: CrashReport): string {
  const rows = describe(report).map(([name, value]) => `| ${name} | ${value} |`);
  return `# Anchoring, killed at random moments

Written by \`npm run crash:anchoring -- --kills ${report.kills} --seed ${report.seed}\` on ${new Date().toISOString().slice(0, 10)}
(${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}).

A process takes receipts and checkpoint roots and anchors them on a local chain that stays up: LevelDB, the transaction
journal, RPC over HTTP and the program in the SVM are the real ones. It is killed with SIGKILL at random moments and
started again. What it has said to have taken is never given again. A second writer, a delegate of the log's owner,
appends roots of its own meanwhile, so that places in the log are lost to it. At the end the chain's transaction history
is read, by our client and counted by \`@solana/web3.js\`: each batch's root must be there exactly once, each leaf in
exactly one batch.

| what | found |
|---|---|
${rows.join('\n')}
${report.faults.map((fault) => `\n- ${fault}`).join('')}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '200' },
      seed: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const kills = Number(values.kills);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!Number.isInteger(kills) || kills < 0 || !Number.isInteger(seed)) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  console.log(`seed ${seed}`);
  const report = await runCrashes({
    kills,
    seed,
    onKill: (done) => {
      if (done % 20 === 0) console.log(`killed ${done} times`);
    },
  });
  for (const [name, value] of describe(report)) console.log(`${name.padEnd(40)} ${value}`);
  for (const fault of report.faults) console.error(fault);
  if (values.report !== undefined) await writeFile(values.report, toMarkdown(report));
  if (report.faults.length > 0) process.exitCode = 1;
}

await main();
