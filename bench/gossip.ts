/**
 * Signed gossip among 20 nodes in one process: CPU a delivery under load, and the time from publishing to delivery at 10
 * messages a second; the router as we set it up beside gossipsub as it comes, and with announcements judged on top.
 */
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { SystemRandom } from '../src/lib/random.ts';
import { topicId } from '../src/network/gossip/topics.ts';
import { GossipNode, JOB_TOPIC } from '../test/support/gossip-node.ts';
import { createTestIdentity } from '../test/support/network.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

const NODES = 20;
/** Links of node i: to i + 1, i + 2 and i + 5, so that each has six. */
const STRIDES = [1, 2, 5] as const;
const MESSAGE_BYTES = 1024;
/** Rounds in which every node publishes once; the next begins when all have heard all. Below what one author may publish at once. */
const WARM_UP_ROUNDS = 4;
const ROUNDS = 24;
/** At a steady rate: one message every 100 ms. */
const PACED_MESSAGES = 100;
const PACE_MS = 100;
const SETTLE_MS = 5_000;
const DEADLINE_MS = 60_000;
/** Nobody gates this topic on a host without the daemon's parts: what is measured is the router alone. */
const PLAIN_TOPIC = topicId('test', 'records');

interface Peer extends AsyncDisposable {
  readonly pubsub: GossipSub;
  dial(other: Peer): Promise<void>;
  readonly address: () => Parameters<GossipNode['host']['dial']>[0];
}

interface Swarm extends AsyncDisposable {
  readonly peers: readonly Peer[];
  readonly topic: string;
  /** A message that `peer` publishes. */
  readonly publish: (index: number) => Promise<void>;
}

const random = new SystemRandom();
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function createPlainPeer(): Promise<Peer> {
  const host = await createLibp2p({
    privateKey: (await createTestIdentity()).privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 500 },
    services: { identify: identify(), pubsub: gossipsub({ scoreParams: { IPColocationFactorWeight: 0 } }) },
  });
  return {
    pubsub: host.services.pubsub,
    address: () => host.getMultiaddrs(),
    dial: async (other) => void (await host.dial(other.address())),
    [Symbol.asyncDispose]: async () => host.stop(),
  };
}

function describeNode(node: GossipNode): Peer {
  return {
    pubsub: node.host.services.pubsub,
    address: () => node.host.getMultiaddrs(),
    dial: async (other) => void (await node.host.dial(other.address())),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

async function join(peers: readonly Peer[], topic: string): Promise<void> {
  for (const { pubsub } of peers) pubsub.subscribe(topic);
  for (const [index, peer] of peers.entries()) {
    for (const stride of STRIDES) {
      const other = peers[(index + stride) % peers.length];
      if (other !== undefined) await peer.dial(other);
    }
  }
  // A few heartbeats: the mesh is built, and nobody dials any more.
  await wait(SETTLE_MS);
}

async function openPlain(create: () => Promise<Peer>): Promise<Swarm> {
  const stack = new AsyncDisposableStack();
  const peers: Peer[] = [];
  for (let index = 0; index < NODES; index += 1) peers.push(stack.use(await create()));
  await join(peers, PLAIN_TOPIC);
  return {
    peers,
    topic: PLAIN_TOPIC,
    publish: async (index) => void (await peers[index]?.pubsub.publish(PLAIN_TOPIC, random.bytes(MESSAGE_BYTES))),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function openJudged(): Promise<Swarm> {
  const stack = new AsyncDisposableStack();
  const nodes: GossipNode[] = [];
  for (let index = 0; index < NODES; index += 1) nodes.push(stack.use(await GossipNode.start()));
  const peers = nodes.map(describeNode);
  await join(peers, JOB_TOPIC);
  return {
    peers,
    topic: JOB_TOPIC,
    publish: async (index) => void (await nodes[index]?.announce()),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Counts what is delivered, and tells how long each took. */
function listen({ peers, topic }: Swarm): { readonly deliveries: () => number; readonly times: Map<string, number[]> } {
  let count = 0;
  const times = new Map<string, number[]>();
  for (const { pubsub } of peers) {
    pubsub.addEventListener('gossipsub:message', ({ detail: { msg, msgId } }) => {
      if (msg.topic !== topic) return;
      count += 1;
      const arrivals = times.get(msgId) ?? [];
      arrivals.push(performance.now());
      times.set(msgId, arrivals);
    });
  }
  return { deliveries: () => count, times };
}

async function until(deliveries: () => number, wanted: number): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (deliveries() < wanted) {
    if (performance.now() > deadline) throw new Error(`${deliveries()} of ${wanted} deliveries within a minute`);
    await wait(1);
  }
}

/** Of a whole delivery, sending and idle work included: ms of CPU in all threads. */
async function measureCpu(swarm: Swarm): Promise<number> {
  const { deliveries } = listen(swarm);
  const each = NODES * (NODES - 1);
  const run = async (rounds: number): Promise<void> => {
    const before = deliveries();
    for (let round = 1; round <= rounds; round += 1) {
      await Promise.all(swarm.peers.map((_, index) => swarm.publish(index)));
      await until(deliveries, before + round * each);
    }
  };
  await run(WARM_UP_ROUNDS);
  const started = process.cpuUsage();
  await run(ROUNDS);
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000 / (ROUNDS * each);
}

async function measureLatencies(swarm: Swarm): Promise<readonly number[]> {
  const { deliveries, times } = listen(swarm);
  const published: number[] = [];
  for (let message = 0; message < PACED_MESSAGES; message += 1) {
    published.push(performance.now());
    await swarm.publish(message % NODES);
    await wait(PACE_MS);
  }
  await until(deliveries, PACED_MESSAGES * (NODES - 1));
  // One message after the other: they arrive first in the order in which they were published.
  const arrivals = [...times.values()].toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
  return arrivals.flatMap((moments, index) => moments.map((moment) => moment - (published[index] ?? moment)));
}

interface Measured {
  readonly cpuMs: number;
  readonly latencies: readonly number[];
}

/** Each beginning with a swarm of its own, since an author may not publish without end. */
async function measure(open: () => Promise<Swarm>): Promise<Measured> {
  const run = async <Value>(task: (swarm: Swarm) => Promise<Value>): Promise<Value> => {
    await using swarm = await open();
    return await task(swarm);
  };
  return { cpuMs: await run(measureCpu), latencies: await run(measureLatencies) };
}

function describe(what: string, { cpuMs, latencies }: Measured, before?: Measured): readonly BenchRow[] {
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
  const name = 'gossipsub as it comes';
  const against = (value: number | undefined) => (value === undefined ? {} : { baseline: { name, value } });
  const [cpuGoal, lateGoal] = [
    { goal: atMost(0.3), floor: atMost(0.6) },
    { goal: atMost(40), floor: atMost(60) },
  ];
  const isOurs = before !== undefined;
  return [
    {
      name: `${what}: CPU a delivery`,
      value: cpuMs,
      unit: 'ms',
      ...against(before?.cpuMs),
      ...(isOurs ? cpuGoal : {}),
    },
    { name: `${what}: p50`, value: p50, unit: 'ms', ...against(before && percentile(before.latencies, 0.5)) },
    {
      name: `${what}: p99`,
      value: p99,
      unit: 'ms',
      ...against(before && percentile(before.latencies, 0.99)),
      ...(isOurs ? lateGoal : {}),
    },
  ];
}

export async function benchGossip(): Promise<readonly BenchRow[]> {
  const before = await measure(() => openPlain(createPlainPeer));
  const after = await measure(() => openPlain(async () => describeNode(await GossipNode.start({ classes: [] }))));
  const judged = await measure(openJudged);
  return [
    ...describe(`signed, ${NODES} nodes, gossipsub as it comes`, before),
    ...describe('signed, our router', after, before),
    ...describe('announcements, judged', judged, before),
  ];
}

if (import.meta.main) console.table(await benchGossip());
