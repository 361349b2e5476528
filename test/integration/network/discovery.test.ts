import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { NetworkError } from '../../../src/network/errors.ts';
import { itIf } from '../../support/needs.ts';
import {
  copyIdentity,
  createTestIdentity,
  createTestNode,
  FastClock,
  startTestNode,
  TEST_CONTENT,
  type TestNode,
  type TestNodeSetup,
  until,
} from '../../support/network.ts';

const nodes: TestNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
});

async function start(setup: TestNodeSetup = {}): Promise<TestNode> {
  const node = await startTestNode(setup);
  nodes.push(node);
  return node;
}

async function startWithRecord(setup: TestNodeSetup = {}): Promise<TestNode> {
  const node = await start(setup);
  await node.network.updateRecord(TEST_CONTENT);
  return node;
}

const knows = (node: TestNode, other: TestNode) => () =>
  node.network.peers.providers().some((record) => record.signer === other.identity.peer);

const hasRecord = (node: TestNode, other: TestNode): boolean =>
  (node.network.peers.get(other.identity.peer)?.record ?? null) !== null;

const HAS_INTERFACE = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.internal === false && address.family === 'IPv4');

describe('nodes on one local network', () => {
  const need = {
    isMet: HAS_INTERFACE,
    kind: 'hardware',
    reason: 'a network interface beside loopback, for multicast',
  } as const;

  itIf(need, 'find each other by mDNS without any bootstrap peer', async () => {
    const networkId = `mdns-${process.pid}`;
    const options = { networkId, mdns: true, listen: ['/ip4/0.0.0.0/tcp/0'] };
    const one = await startWithRecord({ options });
    const other = await startWithRecord({ options });
    await Promise.all([until(one, knows(one, other)), until(other, knows(other, one))]);
    const sources = [one.network.peers.get(other.identity.peer), other.network.peers.get(one.identity.peer)];
    expect(sources.map((info) => info?.source)).toContain('mdns');
  });
});

describe('nodes on loopback', () => {
  it('find each other through one bootstrap peer and learn what each offers', async () => {
    const hub = await startWithRecord();
    const left = await startWithRecord({ options: { bootstrap: [hub.address()] } });
    await until(left, knows(left, hub));
    const right = await startWithRecord({ options: { bootstrap: [hub.address()] } });
    await Promise.all([
      until(hub, knows(hub, right)),
      until(right, knows(right, hub)),
      until(right, knows(right, left)),
      until(left, knows(left, right)),
    ]);
    const info = right.network.peers.get(hub.identity.peer);
    expect(info).toMatchObject({
      isConnected: true,
      direction: 'outbound',
      encryption: '/tls/1.0.0',
      source: 'bootstrap',
    });
    expect(right.network.status()).toMatchObject({ isDegraded: false, duplicateIdentity: null });
    expect(right.network.status().bootstrap).toEqual([{ address: hub.address(), outcome: 'connected', reason: null }]);
  });

  it('hear of a changed record by gossip', async () => {
    const a = await startWithRecord();
    const b = await startWithRecord({ options: { bootstrap: [a.address()] } });
    await until(b, knows(b, a));
    await until(b, () => (b.network.status().gossip['records']?.meshPeers ?? 0) > 0);
    const before = b.network.peers.get(a.identity.peer)?.record?.value.sequence ?? 0;
    await a.network.updateRecord({ ...TEST_CONTENT, pricesPerHour: [{ capabilityClass: 'cpu', price: '7' }] });
    await until(b, () => b.network.peers.get(a.identity.peer)?.record?.value.pricesPerHour[0]?.price === '7');
    expect(b.network.peers.get(a.identity.peer)?.record?.value.sequence).toBeGreaterThan(before);
    await until(b, () => b.metrics.read('fogproof_network_gossip_verdicts_total', { verdict: 'accept' }) > 0);
  });

  it('find a record in the DHT without a connection to its maker', async () => {
    const hub = await startWithRecord();
    const maker = await start({ options: { bootstrap: [hub.address()] } });
    await until(hub, () => hub.network.status().dhtPeers > 0);
    await maker.network.updateRecord(TEST_CONTENT);
    await until(hub, () => hasRecord(hub, maker));
    const asker = await start();
    await asker.network.connect(hub.address());
    await until(asker, () => asker.network.status().dhtPeers > 0);
    let found = await asker.network.findRecord(maker.identity.peer);
    for (let round = 0; found === null && round < 20; round++) {
      found = await asker.network.findRecord(maker.identity.peer);
    }
    expect(found?.value.peer).toBe(maker.identity.peer);
  });

  it('issue their record anew before it expires', async () => {
    const a = await startWithRecord({ options: { recordTtlMs: 3_000 } });
    const b = await start({ options: { bootstrap: [a.address()] } });
    await until(b, knows(b, a));
    const first = b.network.peers.get(a.identity.peer)?.record?.value.sequence ?? 0;
    await until(b, () => (b.network.peers.get(a.identity.peer)?.record?.value.sequence ?? 0) > first);
    expect(knows(b, a)()).toBe(true);
  });

  it('start degraded, name the refused peer with its reason, and recover', async () => {
    const hub = await start();
    const address = hub.address();
    const port = /tcp\/(\d+)/.exec(address)?.[1] ?? '0';
    await hub.network.stop();
    const startedMs = performance.now();
    const node = await start({ options: { bootstrap: [address] }, clock: new FastClock(5) });
    expect(performance.now() - startedMs).toBeLessThan(1500);
    await until(node, () => node.network.status().isDegraded);
    expect(node.network.status().bootstrap).toMatchObject([{ address, outcome: 'refused' }]);
    expect(node.network.status().bootstrap[0]?.reason).toBe('nobody listens there');
    const again = await createTestNode({
      identity: hub.identity,
      options: { listen: [`/ip4/127.0.0.1/tcp/${port}`] },
    });
    nodes.push(again);
    await again.network.start({});
    await until(node, () => !node.network.status().isDegraded);
    expect(node.network.peers.get(hub.identity.peer)?.isConnected).toBe(true);
  });

  it('remember peers over a restart and need no bootstrap peer then', async () => {
    const hub = await startWithRecord();
    const node = await start({ options: { bootstrap: [hub.address()] } });
    await until(node, knows(node, hub));
    await node.network.stop();
    const again = await start({ identity: node.identity, database: node.database.clone() });
    await until(again, () => again.network.peers.get(hub.identity.peer)?.isConnected === true);
    expect(again.network.peers.get(hub.identity.peer)?.source).toBe('remembered');
  });

  it('of another network are not kept', async () => {
    const other = await start({ options: { networkId: 'other' } });
    const node = await start();
    await node.network.connect(other.address()).catch(() => undefined);
    await until(node, () => node.network.status().connections === 0);
    expect(node.network.peers.providers()).toEqual([]);
  });

  it('with another pre-shared key, or none, are refused', async () => {
    const key = new Uint8Array(32).fill(1);
    const hub = await start({ options: { preSharedKey: key } });
    const friend = await start({ options: { preSharedKey: key } });
    expect(await friend.network.connect(hub.address())).toBe(hub.identity.peer);
    const refused = [null, new Uint8Array(32).fill(2)].map(async (preSharedKey) => {
      const stranger = await start({ options: { preSharedKey } });
      await expect(stranger.network.connect(hub.address())).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
    });
    await Promise.all(refused);
    expect(hub.network.status().connections).toBe(1);
  });

  it('refuse a pre-shared key of the wrong length', async () => {
    const node = await createTestNode({ options: { preSharedKey: new Uint8Array(31) } });
    await expect(node.network.start({})).rejects.toMatchObject({ code: 'NETWORK_BAD_PRE_SHARED_KEY' });
  });

  it('say what holds their port', async () => {
    const first = await start();
    const listen = [first.address().replace(/\/p2p\/.*/, '')];
    const second = await createTestNode({ options: { listen } });
    await expect(second.network.start({})).rejects.toMatchObject({ code: 'NETWORK_LISTEN_FAILED' });
    expect(second.network.status().listen).toEqual([]);
  });

  it('start and stop again and again without leaving anything open', async () => {
    const node = await createTestNode();
    nodes.push(node);
    for (let round = 0; round < 3; round++) {
      await node.network.start({});
      await node.network.start({});
      expect(node.network.status().listen).toHaveLength(1);
      await node.network.stop();
      await node.network.stop();
    }
    await expect(node.network.connect('/ip4/127.0.0.1/tcp/1')).rejects.toBeInstanceOf(NetworkError);
  });
});

describe('on a production network', () => {
  const PRODUCTION = { preset: 'production', listen: ['/ip4/0.0.0.0/tcp/0'] } as const;
  const INSIDE = '/ip4/10.9.9.9/tcp/4717';

  it('addresses inside are told by nobody, and kept by nobody who hears of them', async () => {
    const hub = await startWithRecord({ options: PRODUCTION });
    const careless = await startWithRecord({
      options: { ...PRODUCTION, announce: [INSIDE], bootstrap: [hub.address()] },
    });
    const asker = await startWithRecord({ options: { ...PRODUCTION, bootstrap: [hub.address()] } });
    await Promise.all([until(asker, knows(asker, careless)), until(hub, knows(hub, asker))]);
    expect(hub.address()).toContain('/ip4/');
    // A record tells what its signer announces; who reads it does as if it said nothing.
    const told = asker.network.peers.get(careless.identity.peer);
    expect(told?.record?.value.addresses).toEqual([expect.stringContaining(INSIDE)]);
    expect(told?.addresses).toEqual([]);
    expect(asker.network.peers.get(hub.identity.peer)?.record?.value.addresses).toEqual([]);
    expect(asker.network.peers.get(hub.identity.peer)?.addresses).toEqual([hub.address()]);
    const dials = { source: 'gossip', outcome: 'refused' };
    expect(asker.metrics.read('fogproof_network_dials_total', dials)).toBe(0);
  });

  it('few peers of one address group are in the routing table', async () => {
    const options = { preset: 'production', listen: ['/ip4/127.0.0.1/tcp/0'] } as const;
    const hub = await start({ options });
    for (let count = 0; count < 6; count++) await (await start({ options })).network.connect(hub.address());
    await until(hub, () => hub.metrics.read('fogproof_network_routes_refused_total') >= 2);
    expect(hub.network.status().dhtPeers).toBe(4);
  });
});

describe('two daemons with one identity', () => {
  it('on one network: the later finds out through a third, the earlier goes on', async () => {
    const clock = () => new FastClock(10);
    const hub = await startWithRecord({ clock: clock() });
    const identity = await createTestIdentity();
    const first = await startWithRecord({ identity, options: { bootstrap: [hub.address()] }, clock: clock() });
    await until(hub, knows(hub, first));
    const second = await startWithRecord({
      identity: copyIdentity(identity),
      options: { bootstrap: [hub.address()] },
      clock: clock(),
    });
    const addresses = await second.network.duplicateIdentityDetected;
    expect(addresses.some((address) => first.address().startsWith(address.replace(/\/p2p\/.*/, '')))).toBe(true);
    expect(second.network.status().duplicateIdentity).not.toBeNull();
    const gaveWay = await Promise.race([
      first.network.duplicateIdentityDetected.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 200, false)),
    ]);
    expect(gaveWay).toBe(false);
  });

  it('where one is the bootstrap peer of the other: the dialling one finds out', async () => {
    const identity = await createTestIdentity();
    const first = await startWithRecord({ identity });
    const second = await startWithRecord({
      identity: copyIdentity(identity),
      options: { bootstrap: [first.address()] },
    });
    expect(await second.network.duplicateIdentityDetected).toHaveLength(1);
  });

  it('are not seen in a restart of one', async () => {
    const hub = await startWithRecord({ clock: new FastClock(10) });
    const node = await startWithRecord({ options: { bootstrap: [hub.address()] } });
    await until(hub, knows(hub, node));
    await node.network.stop();
    const again = await startWithRecord({
      identity: node.identity,
      database: node.database.clone(),
      options: { bootstrap: [hub.address()] },
      clock: new FastClock(10),
    });
    await until(hub, () => {
      const instance = hub.network.peers.get(node.identity.peer)?.record?.value.issuedAtMs ?? 0;
      return instance > 0 && hub.network.peers.get(node.identity.peer)?.isConnected === true;
    });
    const isDetected = await Promise.race([
      again.network.duplicateIdentityDetected.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 1500, false)),
    ]);
    expect(isDetected).toBe(false);
    expect(again.network.status().duplicateIdentity).toBeNull();
  });
});

describe('a node that is starting', () => {
  it('dials nobody until it may, and nobody at all if it is stopped before', async () => {
    const other = await startWithRecord();
    const options = { bootstrap: [other.address()] };
    const { promise, resolve } = Promise.withResolvers<void>();
    const node = await createTestNode({ options });
    const stopped = await createTestNode({ options });
    nodes.push(node, stopped);
    await Promise.all([node, stopped].map(({ network }) => network.start({ dialAfter: promise })));
    await stopped.network.stop();
    expect(node.network.status().bootstrap).toEqual([]);
    resolve();
    await until(node, () => node.network.peers.get(other.identity.peer)?.isConnected === true);
    expect(other.network.peers.get(stopped.identity.peer)?.isConnected ?? false).toBe(false);
  });
});
