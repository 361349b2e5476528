import { afterEach, expect } from 'vitest';
import { REACHABILITY_DEFAULTS } from '../../../src/network/reachability/options.ts';
import { describeIf, itIf } from '../../support/needs.ts';
import {
  ADDRESS_TRANSLATION,
  type NamespaceHost,
  NETWORK_NAMESPACES,
  PACKET_FILTERS,
  Topology,
} from '../../support/netns.ts';
import { NETNS_PORT, NetnsNode, untilAll } from '../../support/netns-fleet.ts';

const [PUBLIC, HOME, OTHER_HOME] = ['45.0.1', '46.0.1', '47.0.1'] as const;
const OPTIONS = { preset: 'production', neighbours: { gatherMs: 1_000, jitterMs: 500, upkeepMs: 2_000 } } as const;

let topology: Topology | undefined;
afterEach(async () => {
  await topology?.[Symbol.asyncDispose]();
});

function open(): Topology {
  topology = Topology.open([
    { network: PUBLIC, hosts: 2 },
    { network: HOME, hosts: 1 },
    { network: OTHER_HOME, hosts: 1 },
  ]);
  return topology;
}

function pick(hosts: readonly NamespaceHost[], index: number): NamespaceHost {
  const host = hosts[index];
  if (host === undefined) throw new TypeError('the group has no such host');
  return host;
}

/** Two public nodes that know each other, the first of which the host bootstraps to. */
async function startAround(net: Topology, host: NamespaceHost) {
  const hub = new NetnsNode(net, pick(net.hosts(PUBLIC), 0), OPTIONS);
  await untilAll([hub], 'the first node is ready', () => true);
  const options = { ...OPTIONS, bootstrap: [hub.address] };
  const other = new NetnsNode(net, pick(net.hosts(PUBLIC), 1), options);
  const hidden = new NetnsNode(net, host, options);
  await untilAll([hub, other], 'the public nodes are connected', () => hub.isConnectedTo(other));
  return { hub, other, hidden };
}

describeIf(NETWORK_NAMESPACES, 'a host that nobody can dial', () => {
  /** @param door the address at which others see the host */
  const takesPart = async (net: Topology, host: NamespaceHost, door: string): Promise<void> => {
    const { hub, other, hidden } = await startAround(net, host);
    const all = [hub, other, hidden];
    await untilAll(all, 'the hidden node has dialled both, and all know all records', () =>
      all.every((one) => all.every((two) => one === two || (one.isConnectedTo(two) && one.find(two)?.price === '1'))),
    );
    for (const node of [hub, other]) expect(node.find(hidden)?.direction).toBe('inbound');
    expect(net.canConnect(other.host, hub.host.address, NETNS_PORT)).toBe(true);
    expect(net.canConnect(other.host, door, NETNS_PORT)).toBe(false);
    await hidden.call('update', { price: '2' });
    await untilAll(
      all,
      'its news is heard',
      () => hub.find(hidden)?.price === '2' && other.find(hidden)?.price === '2',
    );
    await untilAll(all, 'it has chosen both, and they it', () =>
      all.every((node) => node.state.chosen.length === 2 && node.state.choosers.length === 2),
    );
  };

  itIf(PACKET_FILTERS, 'takes part from behind a firewall by dialling out', async () => {
    const net = open();
    const home = pick(net.hosts(HOME), 0);
    net.refuseInbound(home);
    await takesPart(net, home, home.address);
  });

  itIf(ADDRESS_TRANSLATION, 'takes part from behind a router that translates addresses', async () => {
    const net = open();
    const { host, router } = net.addTranslated(HOME);
    await takesPart(net, host, router.address);
  });

  itIf(PACKET_FILTERS, 'reaches another that nobody can dial through a relay, and is its neighbour', async () => {
    const net = open();
    const relays = (mode: 'client' | 'service') => ({
      ...OPTIONS,
      reachability: {
        ...REACHABILITY_DEFAULTS,
        relay: { ...REACHABILITY_DEFAULTS.relay, client: 'off', service: 'off', [mode]: 'on' },
      } as const,
    });
    const hub = new NetnsNode(net, pick(net.hosts(PUBLIC), 0), relays('service'));
    await untilAll([hub], 'the relay is ready', () => true);
    const [left, right] = [HOME, OTHER_HOME].map((network) => {
      const host = pick(net.hosts(network), 0);
      net.refuseInbound(host);
      return new NetnsNode(net, host, { ...relays('client'), bootstrap: [hub.address] });
    });
    if (left === undefined || right === undefined) throw new TypeError('a node is missing');
    const both = [left, right];
    await untilAll(both, 'both have a place at the relay', () =>
      both.every((node) => node.state.relays.includes(hub.peer)),
    );
    await untilAll(both, 'they have chosen each other', () =>
      both.every((node, index) => {
        const other = both[1 - index]?.peer;
        return other !== undefined && node.state.chosen.includes(other) && node.state.choosers.includes(other);
      }),
    );
    for (const node of both) expect(node.state.addresses.join()).toContain(`/p2p-circuit/p2p/${node.peer}`);
    const dialler = left.find(right)?.direction === 'outbound' ? left : right;
    expect(dialler.find(dialler === left ? right : left)?.addresses[0]).toContain('/p2p-circuit');
  });
});
