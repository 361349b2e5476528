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
/** Longest wait until the attackers are at it, and how often it is looked, ms. */
const ATTACK_MS = 120_000;
const LOOK_MS = 200;
/**
 * What daemons count of strangers who attack; honest jobs move none of it but streams, of which they open a few in all.
 * Verdicts of messages that are taken do not count.
 */
const COUNTERS =
  /^fogproof_network_(gossip_verdicts_total|violations_total|bans_total|streams_opened_total)\{(?!.*("accept"|"outbound"))/;
const CONNECTIONS = /^fogproof_network_connections /;
/** Below this many a second, at both daemons together, nobody attacked. */
const LEAST_ATTACK = 10;
/** Attackers that hold connections: one at each daemon. */
const LEAST_HELD = 2;

export async function benchAttack(): Promise<readonly BenchRow[]> {
  await using mesh = await Mesh.open({}, AbortSignal.timeout(600_000));
  const requester = await mesh.addNode('requester', ['--no-provide']);
  const provider = await mesh.addNode('provider', ['--slots', '2']);
  await mesh.untilProviders(requester, 1);
  const draft = await prepareDraft(mesh, requester);
  const run = () => runJobs(requester, draft, (count) => count < JOBS);
  await runJobs(requester, draft, (count) => count < WARM_JOBS);
  const quiet = await run();
  const daemons = [requester, provider];
  const heldBefore = await sum(daemons, CONNECTIONS);
  const rows: BenchRow[] = [];
  for (const kinds of [...KINDS.map((kind) => [kind]), KINDS]) {
    const begun = await sum(daemons, COUNTERS);
    const attackers = daemons.flatMap((target) => kinds.map((kind) => startAttacker(kind, target)));
    try {
      await untilAttacked(daemons, kinds, { begun, heldBefore });
      const before = await sum(daemons, COUNTERS);
      const attacked = await run();
      const deeds = (await sum(daemons, COUNTERS)) - before;
      const seconds = attacked.reduce((total, sample) => total + sample, 0) / 1_000;
      const held = (await sum(daemons, CONNECTIONS)) - heldBefore;
      rows.push(...describeAttack(kinds, { perSecond: deeds / seconds, held }), ...compare(attacked, quiet, kinds));
    } finally {
      await Promise.all(attackers.map(stop));
    }
  }
  return rows;
}

/** An attack that never begins shows in its row. */
async function untilAttacked(
  daemons: readonly MeshNode[],
  kinds: readonly string[],
  { begun, heldBefore }: { readonly begun: number; readonly heldBefore: number },
): Promise<void> {
  const deadline = performance.now() + ATTACK_MS;
  while (performance.now() < deadline) {
    const isHeld = !kinds.includes('hold') || (await sum(daemons, CONNECTIONS)) - heldBefore >= LEAST_HELD;
    const isRefusing = !acts(kinds) || (await sum(daemons, COUNTERS)) - begun >= LEAST_ATTACK;
    if (isHeld && isRefusing) return;
    await sleep(LOOK_MS);
  }
}

/** Who holds does nothing else. */
const acts = (kinds: readonly string[]): boolean => kinds.some((kind) => kind !== 'hold');

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
async function sum(nodes: readonly MeshNode[], metric: RegExp): Promise<number> {
  const texts = await Promise.all(nodes.map(async ({ client }) => (await client.call('node.metrics', {})).text));
  const lines = texts.flatMap((text) => text.split('\n').filter((line) => metric.test(line)));
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function describeAttack(
  kinds: readonly string[],
  { perSecond, held }: { readonly perSecond: number; readonly held: number },
): readonly BenchRow[] {
  const name = kinds.join(' and ');
  const rows: BenchRow[] = [];
  if (acts(kinds)) {
    const title = `refused to attackers (${name}), streams that they opened`;
    rows.push({ name: title, value: perSecond, unit: 'a second', floor: atLeast(LEAST_ATTACK) });
  }
  if (kinds.includes('hold')) {
    rows.push({ name: `connections that attackers hold (${name})`, value: held, unit: '', floor: atLeast(LEAST_HELD) });
  }
  return rows;
}

function compare(attacked: readonly number[], quiet: readonly number[], kinds: readonly string[]): readonly BenchRow[] {
  return [0.5, 0.99].map((share) => ({
    name: `trivial job under attack (${kinds.join(' and ')}), p${share * 100}`,
    value: percentile(attacked, share),
    unit: 'ms',
    baseline: { name: 'nobody attacks', value: percentile(quiet, share) },
    floor: atMost(2, 'ratio'),
  }));
}
