/**
 * npm run bench [-- NAME...]: every figure beside its baseline of the same run, and beside the goal and the floor of the
 * design where it has one. Ends with exit code 1 if a floor is missed.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
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
import { benchMerkle } from './merkle.ts';
import { benchMesh } from './mesh.ts';
import { benchNetwork } from './network.ts';
import { benchOverhead } from './overhead.ts';
import { type BenchRow, type Bound, computeRatio, isMet } from './rows.ts';
import { benchSandbox } from './sandbox.ts';
import { benchSnapshots } from './snapshots.ts';
import { benchVrf } from './vrf.ts';

const BENCHES: Readonly<Record<string, () => Promise<readonly BenchRow[]>>> = {
  merkle: benchMerkle,
  vrf: benchVrf,
  sandbox: benchSandbox,
  commands: benchCommand,
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

const HELP = `Usage: npm run bench [-- [NAME...] [--json FILE] [--jobs N]]

  NAME         ${Object.keys(BENCHES).join(', ')}; all of them if none is given
  --json FILE  also writes the rows as JSON
  --jobs N     jobs of mesh, instead of 10,000`;

function formatNumber(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toPrecision(2);
}

function formatBound(row: BenchRow, bound: Bound | undefined): string {
  if (bound === undefined) return '';
  const sign = bound.kind === 'at-most' ? '≤' : '≥';
  return `${isMet(row, bound) ? 'met   ' : 'MISSED'} ${sign} ${formatNumber(bound.value)}${bound.of === 'ratio' ? ' ×' : ''}`;
}

function formatRow(row: BenchRow): string {
  const ratio = computeRatio(row);
  const against = row.baseline === undefined ? '' : `${formatNumber(ratio ?? 0)} × ${row.baseline.name}`;
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

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) return console.log(HELP);
  const jsonAt = args.indexOf('--json');
  const names = args.filter((arg, index) => arg in BENCHES && (jsonAt < 0 || index !== jsonAt + 1));
  buildExamples({ isForced: false });
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}`,
  );
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
    if (names.length > 0 && !names.includes(name)) continue;
    for (const row of await bench()) {
      rows.push(row);
      console.log(formatRow(row));
    }
  }
  const file = args[jsonAt + 1];
  if (jsonAt >= 0 && file !== undefined) await writeFile(file, `${JSON.stringify(rows, null, 2)}\n`);
  if (rows.some((row) => row.floor !== undefined && !isMet(row, row.floor))) process.exitCode = 1;
}

await main(process.argv.slice(2));
