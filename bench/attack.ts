/**
 * What honest jobs feel while strangers attack both daemons. The attackers are processes of lower priority: what is
 * measured is what they make the daemons do, not that they need the same two cores.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Mesh, type MeshNode } from '../test/support/mesh.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';
import { prepareDraft, runJobs } from './trivial-jobs.ts';

const NETWORK = 'e2e';
const KINDS = ['flood', 'noise', 'hold'] as const;
const WARM_JOBS = 50;
const JOBS = 300;
/** Until the attackers are at it. */
const ATTACK_MS = 5_000;
/**
 * What daemons count of strangers who attack; honest jobs move none of it but streams, of which they open a few in all.
 * Verdicts of messages that are taken do not count.
 */
const COUNTERS =
  /^fogproof_network_(gossip_verdicts_total|violations_total|bans_total|streams_opened_total)\{(?!.*("accept"|"outbound"))/;
/** Below this many a second, at both daemons together, nobody attacked. */
const LEAST_ATTACK = 10;

export async function benchAttack(): Promise<readonly BenchRow[]> {
  await using mesh = await Mesh.open({}, AbortSignal.timeout(600_000));
  const requester = await mesh.addNode('requester', ['--no-provide']);
  const provider = await mesh.addNode('provider', ['--slots', '2']);
  await mesh.untilProviders(requester, 1);
  const draft = await prepareDraft(mesh, requester);
  const run = () => runJobs(requester, draft, (count) => count < JOBS);
  await runJobs(requester, draft, (count) => count < WARM_JOBS);
  const quiet = await run();
  const rows: BenchRow[] = [];
  for (const kinds of [...KINDS.map((kind) => [kind]), KINDS]) {
    const attackers = [requester, provider].flatMap((target) => kinds.map((kind) => startAttacker(kind, target)));
    try {
      await sleep(ATTACK_MS);
      const name = kinds.join(' and ');
      const before = await countDeeds([requester, provider]);
      const attacked = await run();
      const deeds = (await countDeeds([requester, provider])) - before;
      const seconds = attacked.reduce((sum, sample) => sum + sample, 0) / 1_000;
      rows.push(describeAttack(name, deeds / seconds), ...compare(attacked, quiet, name));
    } finally {
      await Promise.all(attackers.map(stop));
    }
  }
  return rows;
}

function startAttacker(kind: string, { status }: MeshNode): ChildProcess {
  const file = join(import.meta.dirname, 'attacker.ts');
  const line = ['-n', '19', process.execPath, file, kind, NETWORK, status.network.listen[0] ?? ''];
  return spawn('nice', line, { stdio: 'ignore' });
}

async function stop(attacker: ChildProcess): Promise<void> {
  const exited = once(attacker, 'exit');
  attacker.kill('SIGKILL');
  await exited;
}

/** By the daemons' own metrics: an attacker that starves or fails is not taken for one that was withstood. */
async function countDeeds(nodes: readonly MeshNode[]): Promise<number> {
  const texts = await Promise.all(nodes.map(async ({ client }) => (await client.call('node.metrics', {})).text));
  const lines = texts.flatMap((text) => text.split('\n').filter((line) => COUNTERS.test(line)));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function describeAttack(name: string, perSecond: number): BenchRow {
  const title = `refused to attackers (${name}), streams that they opened`;
  return { name: title, value: perSecond, unit: 'a second', floor: atLeast(LEAST_ATTACK) };
}

function compare(attacked: readonly number[], quiet: readonly number[], name: string): readonly BenchRow[] {
  return [0.5, 0.99].map((share) => ({
    name: `trivial job under attack (${name}), p${share * 100}`,
    value: percentile(attacked, share),
    unit: 'ms',
    baseline: { name: 'nobody attacks', value: percentile(quiet, share) },
    floor: atMost(2, 'ratio'),
  }));
}
