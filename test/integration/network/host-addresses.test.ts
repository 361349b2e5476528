import type { PeerInfo } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { afterEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/lib/clock.ts';
import { DhtRecordRules } from '../../../src/network/discovery/dht-record-rules.ts';
import { createHost, type Host } from '../../../src/network/host/create-host.ts';
import { DialPolicy } from '../../../src/network/host/dial-policy.ts';
import type { NetworkOptions } from '../../../src/network/options.ts';
import { createTestIdentity } from '../../support/network.ts';

const INSIDE = ['/ip4/10.0.0.7/tcp/1', '/ip4/100.64.0.1/tcp/1', '/ip4/169.254.1.1/tcp/1', '/ip6/fe80::1/tcp/1'];
const OUTSIDE = ['/ip4/8.8.8.8/tcp/1', '/dns4/node.example.org/tcp/1'];
const AUTONAT = '/libp2p/autonat/1.0.0';
const RELAY_STOP = '/libp2p/circuit/relay/0.2.0/stop';
const RELAY_HOP = '/libp2p/circuit/relay/0.2.0/hop';

const hosts: Host[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map(async (host) => host.stop()));
});

async function start(differing: Partial<NetworkOptions>): Promise<Host> {
  const options: NetworkOptions = {
    networkId: 'test',
    preset: 'production',
    listen: ['/ip4/0.0.0.0/tcp/0'],
    announce: [],
    bootstrap: [],
    mdns: false,
    preSharedKey: null,
    recordTtlMs: 600_000,
    software: 'fogproof/test',
    ...differing,
  };
  const { privateKey } = await createTestIdentity();
  const host = await createHost(
    {
      privateKey,
      dhtRules: new DhtRecordRules(new SystemClock(), 'test'),
      onIdentitySeen: () => undefined,
      onMdnsPeer: () => undefined,
      penaltyOf: () => 0,
      isChosen: () => false,
      isBanned: () => false,
      dialPolicy: new DialPolicy(options),
      routerGuard: { attach: () => undefined },
    },
    options,
  );
  hosts.push(host);
  await host.start();
  return host;
}

const drawInfo = async (): Promise<PeerInfo> => ({
  id: peerIdFromString((await createTestIdentity()).peer),
  multiaddrs: [...INSIDE, ...OUTSIDE].map((address) => multiaddr(address)),
});

/** What identify, discovery and queries tell libp2p of a peer. */
async function keep(host: Host): Promise<readonly string[]> {
  const { id, multiaddrs } = await drawInfo();
  const { addresses } = await host.peerStore.merge(id, { multiaddrs });
  return addresses.map((address) => address.multiaddr.toString());
}

/** What the DHT tells of a peer to those who ask, and looks at before it takes one into its table. */
async function tellByDht(host: Host): Promise<readonly string[]> {
  const { peerInfoMapper } = host.services.dht as unknown as { peerInfoMapper(info: PeerInfo): PeerInfo };
  return peerInfoMapper(await drawInfo()).multiaddrs.map(String);
}

describe('a host of a production network', () => {
  it('keeps and tells no addresses inside, neither its own nor those of others', async () => {
    const host = await start({});
    expect((await keep(host)).toSorted()).toEqual(OUTSIDE.toSorted());
    expect(await tellByDht(host)).toEqual(OUTSIDE);
    expect(host.services.reach.boundMultiaddrs().length).toBeGreaterThan(0);
    expect(host.getMultiaddrs().filter((address) => address.toString().includes('/127.0.0.1/'))).toEqual([]);
  });

  it('tells what its operator announces, wherever that is', async () => {
    const [inside = ''] = INSIDE;
    const host = await start({ announce: [inside] });
    expect(host.getMultiaddrs().map(String)).toEqual([expect.stringContaining(inside)]);
  });
});

describe('a host of a development network', () => {
  it('keeps and tells all addresses', async () => {
    const host = await start({ preset: 'development' });
    expect(await keep(host)).toHaveLength(INSIDE.length + OUTSIDE.length);
    expect(await tellByDht(host)).toHaveLength(INSIDE.length + OUTSIDE.length);
    expect(host.getMultiaddrs().some((address) => address.toString().includes('/127.0.0.1/'))).toBe(true);
  });
});

describe('parts for NAT', () => {
  it('are there where others may reach the host, but relaying waits until it is known that they can', async () => {
    const protocols = (await start({})).getProtocols();
    expect(protocols).toContain(AUTONAT);
    expect(protocols).toContain(RELAY_STOP);
    expect(protocols).not.toContain(RELAY_HOP);
  });

  it('are not there where the host is reached on its own machine only', async () => {
    const protocols = (await start({ preset: 'local', listen: ['/ip4/127.0.0.1/tcp/0'] })).getProtocols();
    for (const protocol of [AUTONAT, RELAY_STOP, RELAY_HOP]) expect(protocols).not.toContain(protocol);
  });
});
