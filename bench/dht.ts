/**
 * Who has this blob? Asked of the DHT by each of 40 nodes in one process: hosts as libp2p makes them beside ours, which
 * choose neighbours, check records and limit how many of one address group their routing tables take.
 */
import { identify } from '@libp2p/identify';
import { kadDHT } from '@libp2p/kad-dht';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { CID } from 'multiformats/cid';
import { BlobId } from '../src/domain/ids.ts';
import { computeRawId } from '../src/lib/cid.ts';
import { SystemRandom } from '../src/lib/random.ts';
import { createTestIdentity, startTestNode } from '../test/support/network.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

/** More than the 20 that keep a provider record, so that most have to ask. */
const NODES = 40;
const BLOBS = 8;
/** Connections at the beginning: each to the next ones. */
const STRIDES = [1, 3, 7] as const;
const SETTLE_MS = 10_000;
const DEADLINE_MS = 20_000;

interface Peer {
  readonly provide: (blob: BlobId) => Promise<void>;
  /** Resolves with true at the first provider. */
  readonly find: (blob: BlobId) => Promise<boolean>;
}

const random = new SystemRandom();
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function openPlain(stack: AsyncDisposableStack): Promise<readonly Peer[]> {
  const hosts = await Promise.all(
    Array.from({ length: NODES }, async () => {
      const host = await createLibp2p({
        privateKey: (await createTestIdentity()).privateKey,
        addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
        transports: [tcp()],
        connectionEncrypters: [tls()],
        streamMuxers: [yamux()],
        connectionManager: { inboundConnectionThreshold: 500 },
        services: {
          identify: identify(),
          ping: ping(),
          dht: kadDHT({ protocol: '/bench/kad/1', clientMode: false, peerInfoMapper: (info) => info }),
        },
      });
      stack.defer(async () => host.stop());
      return host;
    }),
  );
  for (const [index, host] of hosts.entries()) {
    for (const stride of STRIDES) await host.dial(hosts[(index + stride) % NODES]?.getMultiaddrs() ?? []);
  }
  return hosts.map(({ services: { dht } }) => ({
    provide: async (blob) => {
      for await (const _ of dht.provide(CID.parse(blob), { signal: AbortSignal.timeout(DEADLINE_MS) }));
    },
    find: async (blob) => {
      const events = dht.findProviders(CID.parse(blob), { signal: AbortSignal.timeout(DEADLINE_MS) });
      for await (const event of events) if (event.name === 'PROVIDER' && event.providers.length > 0) return true;
      return false;
    },
  }));
}

async function openOurs(stack: AsyncDisposableStack): Promise<readonly Peer[]> {
  const nodes = await Promise.all(Array.from({ length: NODES }, async () => stack.use(await startTestNode())));
  for (const [index, { network }] of nodes.entries()) {
    for (const stride of STRIDES) {
      const other = nodes[(index + stride) % NODES];
      if (other !== undefined) await network.connect(other.address());
    }
  }
  return nodes.map(({ network: { content } }) => ({
    provide: async (blob) => void stack.use(content.provide(blob)),
    find: async (blob) => {
      for await (const _ of content.findProviders(blob, { limit: 1, signal: AbortSignal.timeout(DEADLINE_MS) }))
        return true;
      return false;
    },
  }));
}

async function measure(
  open: (stack: AsyncDisposableStack) => Promise<readonly Peer[]>,
): Promise<{ readonly timesMs: readonly number[]; readonly missed: number }> {
  await using stack = new AsyncDisposableStack();
  const peers = await open(stack);
  await wait(SETTLE_MS);
  const timesMs: number[] = [];
  let missed = 0;
  for (let index = 0; index < BLOBS; index += 1) {
    const blob = BlobId(computeRawId(random.bytes(32)));
    await peers[index]?.provide(blob);
    await wait(SETTLE_MS / 4);
    for (const [asker, peer] of peers.entries()) {
      if (asker === index) continue;
      const startedAt = performance.now();
      if (await peer.find(blob)) timesMs.push(performance.now() - startedAt);
      else missed += 1;
    }
  }
  return { timesMs, missed };
}

export async function benchDht(): Promise<readonly BenchRow[]> {
  const plain = await measure(openPlain);
  const ours = await measure(openOurs);
  const asked = BLOBS * (NODES - 1);
  return [
    ...[0.5, 0.9].map(
      (share): BenchRow => ({
        name: `DHT: first provider of a blob, ${NODES} nodes, p${share * 100}`,
        value: percentile(ours.timesMs, share),
        unit: 'ms',
        baseline: { name: 'libp2p as it comes', value: percentile(plain.timesMs, share) },
        goal: atMost(2, 'ratio'),
      }),
    ),
    {
      name: 'DHT: searches that found nobody',
      value: (100 * ours.missed) / asked,
      unit: '%',
      baseline: { name: 'libp2p as it comes', value: (100 * plain.missed) / asked },
    },
  ];
}
