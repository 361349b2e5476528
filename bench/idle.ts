/** What daemons take that have nothing to do, each connected to all others: processor time and memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Mesh, type MeshNode } from '../test/support/mesh.ts';
import { readProcessorSeconds, readRss } from './process-figures.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

/** Each with 50 peers, as the design's goal says; a few take jobs, whose warm children would fill the memory otherwise. */
const DAEMONS = 51;
const PROVIDERS = 8;
/** Until they have met, chosen neighbours and given back what their start left behind. */
const SETTLE_MS = 90_000;
const WATCHED_MS = 60_000;
const MEBIBYTE = 2 ** 20;

export async function benchIdle(): Promise<readonly BenchRow[]> {
  await using mesh = await Mesh.open({}, AbortSignal.timeout(900_000));
  const nodes: MeshNode[] = [];
  for (let index = 0; index < DAEMONS; index += 1) {
    nodes.push(await mesh.addNode(`node-${index + 1}`, index < PROVIDERS ? [] : ['--no-provide']));
  }
  await sleep(SETTLE_MS);
  const before = await Promise.all(nodes.map(({ status }) => readProcessorSeconds(status.pid)));
  const startedAt = performance.now();
  await sleep(WATCHED_MS);
  const lastedSeconds = (performance.now() - startedAt) / 1_000;
  const after = await Promise.all(nodes.map(({ status }) => readProcessorSeconds(status.pid)));
  const shares = after.map((seconds, index) => (100 * (seconds - (before[index] ?? 0))) / lastedSeconds);
  const peers = await Promise.all(nodes.map(countConnected));
  const sizes = await Promise.all(nodes.map(({ status }) => readRss(status.pid)));
  const name = `idle daemon, ${percentile(peers, 0.5)} peers`;
  return [
    { name, value: percentile(shares, 0.5), unit: '% of a core', goal: atMost(1), floor: atMost(3) },
    { name, value: percentile(sizes, 0.5) / MEBIBYTE, unit: 'MiB RSS', goal: atMost(130), floor: atMost(180) },
  ];
}

async function countConnected({ client }: MeshNode): Promise<number> {
  const { peers } = await client.call('peers.list', {});
  return peers.filter(({ isConnected }) => isConnected).length;
}
