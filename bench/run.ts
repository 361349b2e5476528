/**
 * npm run bench [-- NAME...]: every figure beside its baseline of the same run, and beside the goal and the floor of the
 * design where it has one. Ends with exit code 1 if a floor is missed.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildExamples } from '../scripts/build-examples.ts';
import { benchAttack } from './attack.ts';
import { benchBlobs } from './blobs.ts';
import { benchCheckpoints } from './checkpoints.ts';
import { benchCommand } from './command.ts';
import { benchDaemon } from './daemon.ts';
import { benchDht } from './dht.ts';
import { benchEvidence } from './evidence.ts';
import { benchGossip } from './gossip.ts';
import { benchIdle } from './idle.ts';
import { benchInference } from './inference.ts';
import { benchMerkle } from './merkle.ts';
import { benchMesh } from './mesh.ts';
import { benchNetwork } from './network.ts';
import { benchOverhead } from './overhead.ts';
import { putIntoReport } from './report.ts';
import { type BenchRow, computeRatio, formatBound, formatNumber, isMet } from './rows.ts';
import { benchSandbox } from './sandbox.ts';
import { benchSnapshots } from './snapshots.ts';
import { benchVrf } from './vrf.ts';

const BENCHES: Readonly<Record<string, () => Promise<readonly BenchRow[]>>> = {
  merkle: benchMerkle,
  vrf: benchVrf,
  sandbox: benchSandbox,
  commands: benchCommand,
  inference: benchInference,
  overhead: benchOverhead,
  checkpoints: benchCheckpoints,
  snapshots: benchSnapshots,
  network: benchNetwork,
  gossip: benchGossip,
  dht: benchDht,
  blobs: benchBlobs,
  daemon: benchDaemon,
  evidence: benchEvidence,
  attack: benchAttack,
  idle: benchIdle,
  mesh: benchMesh,
};

const HELP = `Usage: npm run bench [-- [NAME...] [--json FILE] [--report FILE] [--jobs N]]

  NAME           ${Object.keys(BENCHES).join(', ')}; all of them if none is given
  --json FILE    also writes the rows as JSON
  --report FILE  puts them into this page of Markdown, in place of what it has of the same benchmarks
  --jobs N       jobs of mesh, instead of 10,000`;

function formatRow(row: BenchRow): string {
  const ratio = computeRatio(row);
  const against = ratio === undefined ? '' : `${formatNumber(ratio)} × ${row.baseline?.name}`;
  const figure = `${formatNumber(row.value)} ${row.unit}`;
  return [
    row.name.padEnd(52),
    figure.padEnd(16),
    against.padEnd(44),
    formatBound(row, row.goal).padEnd(18),
    formatBound(row, row.floor),
  ]
    .join('  ')
    .trimEnd();
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      report: { type: 'string' },
      jobs: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const unknown = positionals.find((name) => !(name in BENCHES));
  if (unknown !== undefined)
    throw new RangeError(`no benchmark ${unknown}: expected ${Object.keys(BENCHES).join(', ')}`);
  buildExamples({ isForced: false });
  console.log(describeMachine());
  console.log(
    [
      'figure'.padEnd(52),
      'value'.padEnd(16),
      'against the baseline of this run'.padEnd(44),
      'goal'.padEnd(18),
      'floor',
    ].join('  '),
  );
  const rows: BenchRow[] = [];
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    const found = await bench();
    for (const row of found) console.log(formatRow(row));
    rows.push(...found);
    // Right after each: a later one may fail.
    if (values.report !== undefined)
      await putIntoReport(values.report, { name, machine: describeMachine(), rows: found });
  }
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (rows.some((row) => row.floor !== undefined && !isMet(row, row.floor))) process.exitCode = 1;
}

function describeMachine(): string {
  return `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}`;
}

await main();
