import { afterAll, beforeAll, expect, it } from 'vitest';
import type { NeighbourCheck } from '../../../src/network/interface.ts';
import { PRESETS } from '../../../src/network/options.ts';
import { describeIf, itIf } from '../../support/needs.ts';
import { NETWORK_NAMESPACES, PACKET_FILTERS, Topology } from '../../support/netns.ts';
import { NETNS_PORT, NetnsNode, untilAll } from '../../support/netns-fleet.ts';

/**
 * Of the public Internet as the policy for addresses sees it; nothing leaves the namespaces. Of one /8 AutoNAT takes a single
 * word.
 */
const [CROWDED, SECOND, THIRD] = ['45.0.1', '46.0.1', '47.0.1'] as const;
const CAP = PRESETS.production.neighboursPerGroup;

/** Under the rules for strangers, but for the waits, which are for networks of many. */
const OPTIONS = { preset: 'production', neighbours: { gatherMs: 1_000, jitterMs: 500, upkeepMs: 2_000 } } as const;

describeIf(NETWORK_NAMESPACES, 'six hosts of three networks', () => {
  let topology: Topology;
  let nodes: readonly NetnsNode[];
  let crowd: readonly NetnsNode[];
  let others: readonly NetnsNode[];

  beforeAll(async () => {
    topology = Topology.open([
      { network: CROWDED, hosts: 4 },
      { network: SECOND, hosts: 1 },
      { network: THIRD, hosts: 1 },
    ]);
    const [first] = topology.hosts(THIRD);
    if (first === undefined) throw new TypeError('a group has no host');
    // Nobody is there to dial the first one back.
    const announce = [`/ip4/${first.address}/tcp/${NETNS_PORT}`];
    const hub = new NetnsNode(topology, first, { ...OPTIONS, announce });
    await untilAll([hub], 'the first node is ready', () => true);
    const join = (network: string) =>
      topology.hosts(network).map((host) => new NetnsNode(topology, host, { ...OPTIONS, bootstrap: [hub.address] }));
    crowd = join(CROWDED);
    others = [...join(SECOND), hub];
    nodes = [...crowd, ...others];
  }, 60_000);

  afterAll(async () => {
    await topology?.[Symbol.asyncDispose]();
  });

  const pairsOf = (left: readonly NetnsNode[], right: readonly NetnsNode[]) =>
    left.flatMap((one) => right.filter((other) => other !== one).map((other) => [one, other] as const));
  const areConnected = () => pairsOf(nodes, nodes).every(([one, other]) => one.isConnectedTo(other));
  const know = (those: readonly NetnsNode[], of: NetnsNode, price: string) =>
    those.every((node) => node === of || node.find(of)?.price === price);

  it('find each other through one of them, learn from each other that they can be reached, and know what each offers', async () => {
    await untilAll(nodes, 'all are connected and know all records', () => {
      return areConnected() && nodes.every((node) => know(nodes, node, '1'));
    });
    // A public address is told once a peer has dialled it back (AutoNAT).
    await untilAll(nodes, 'each tells its address', () =>
      nodes.every((node) => node.state.reachability === 'public' && node.state.addresses.includes(node.address)),
    );
  });

  it('choose neighbours, of one /24 no more than the cap', async () => {
    const inCrowd = (node: NetnsNode) => node.state.chosen.filter((peer) => crowd.some((one) => one.peer === peer));
    // Four of the six are behind one /24: each of them may take two of the other three, and both others.
    const wanted = (node: NetnsNode) => (crowd.includes(node) ? CAP + others.length : CAP + others.length - 1);
    const agree = () =>
      pairsOf(nodes, nodes).every(
        ([one, other]) => other.state.choosers.includes(one.peer) === one.state.chosen.includes(other.peer),
      );
    await untilAll(
      nodes,
      'each has the neighbours that the cap allows, and they know it',
      () => nodes.every((node) => node.state.chosen.length === wanted(node)) && agree(),
    );
    for (const node of nodes) expect(inCrowd(node)).toHaveLength(CAP);
    // Chance may have passed over any one of them.
    const checked = nodes.find(({ state }) => state.choosers.length > 0);
    const [chooser] = checked?.state.choosers ?? [];
    if (checked === undefined || chooser === undefined) throw new TypeError('nobody chose the node');
    const checks = (await checked.call('verify', { peer: chooser })) as readonly NeighbourCheck[];
    expect(checks.filter(({ direction }) => direction === 'inbound')).toMatchObject([{ isValid: true }]);
  });

  it('go on as two networks while they are cut apart, and agree again after', async () => {
    const [left, right] = [crowd[0], others[0]];
    if (left === undefined || right === undefined) throw new TypeError('a group has no host');
    topology.partition([CROWDED], [SECOND, THIRD]);
    await Promise.all([left.call('update', { price: '2' }), right.call('update', { price: '3' })]);
    await untilAll(nodes, 'each side knows what is new on it, and has lost the other', () => {
      const isSplit = pairsOf(crowd, others).every(
        ([one, other]) => !one.isConnectedTo(other) && !other.isConnectedTo(one),
      );
      return isSplit && know(crowd, left, '2') && know(others, right, '3');
    });
    for (const node of others) expect(node.find(left)?.price).toBe('1');
    for (const node of crowd) expect(node.find(right)?.price).toBe('1');

    topology.heal();
    await untilAll(nodes, 'all are connected and agree', () => {
      return areConnected() && know(nodes, left, '2') && know(nodes, right, '3');
    });
  });

  itIf(PACKET_FILTERS, 'hear of each other where a fifth of the packets is lost', async () => {
    const [left, right] = [crowd[0], others[0]];
    if (left === undefined || right === undefined) throw new TypeError('a group has no host');
    topology.loseInbound(right.host, 0.2);
    await left.call('update', { price: '4' });
    await untilAll(nodes, 'the news is everywhere', () => know(nodes, left, '4'));
    expect(right.isConnectedTo(left)).toBe(true);
  });
});
