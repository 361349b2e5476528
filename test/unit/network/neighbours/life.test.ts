import { afterEach, describe, expect, it } from 'vitest';
import { BeaconError } from '../../../../src/beacon/errors.ts';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import type { EpochBeacon } from '../../../../src/network/neighbours/ports.ts';
import { createPeer, createVrfKey, EPOCH_MS, NeighbourRig, type RigNode } from '../../../support/neighbour-rig.ts';

let rig = new NeighbourRig();
afterEach(() => rig.stopAll());

const NO_CAP = Number.POSITIVE_INFINITY;

function first(nodes: readonly RigNode[]): RigNode {
  const [node] = nodes;
  if (node === undefined) throw new TypeError('there is none');
  return node;
}

describe('a network that begins', () => {
  it('chooses among all it knows, marked genesis, until ages can be told', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(20, {}, 0);
    await rig.startAll();
    const node = first(nodes);
    expect(node.neighbours.status()).toMatchObject({ isGenesis: true, outbound: 8 });
    const whys = (): Set<string> => new Set(node.neighbours.status().neighbours.map(({ why }) => why));
    expect(whys()).toEqual(new Set(['genesis']));
    await rig.nextEpoch();
    await rig.nextEpoch();
    expect(node.neighbours.status()).toMatchObject({ isGenesis: false, outbound: 8 });
    await rig.nextEpoch();
    await rig.nextEpoch();
    expect(whys()).toEqual(new Set(['ranked']));
  });

  it('fills its slots as candidates come in', async () => {
    rig = new NeighbourRig();
    const node = rig.add('early');
    const late = rig.add('late');
    await rig.startAll();
    expect(node.outbound()).toEqual([]);
    expect(node.sought).toEqual([0]);
    node.neighbours.noteNode(late.facts, late.peer);
    await rig.clock.advance(1_000);
    expect(node.outbound()).toEqual([late.peer]);
  });

  it('passes over keys that are too young once it has watched for two epochs', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(12);
    const young = rig.add('young');
    rig.introduceAll(young, nodes);
    for (const node of nodes) rig.introduce(node, young.facts, 1);
    await rig.startAll();
    for (const node of nodes) expect(node.outbound()).not.toContain(young.peer);
    expect(young.outbound()).toHaveLength(8);
  });
});

describe('a restart', () => {
  it('gives the same neighbours again, by the proof that was kept', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(20);
    await rig.startAll();
    await rig.nextEpoch();
    const node = first(nodes);
    const before = node.neighbours.status().neighbours.filter(({ direction }) => direction === 'outbound');
    await node.neighbours.stop();
    for (const other of nodes) rig.disconnect(node.peer, other.peer);
    const stored = node.saved();
    expect(stored?.outbound).toHaveLength(8);
    const again = rig.add('node 0', stored === undefined ? {} : { stored });
    rig.introduceAll(again, nodes);
    rig.sent.length = 0;
    await again.neighbours.start();
    await rig.clock.advance(30_000);
    const after = again.neighbours.status().neighbours.filter(({ direction }) => direction === 'outbound');
    const facts = (views: typeof before) =>
      views.map(({ peer, epoch, rank, sinceMs }) => ({ peer, epoch, rank, sinceMs }));
    expect(facts(after)).toEqual(facts(before));
    expect(again.neighbours.status()).toMatchObject({ networkSize: 20, isGenesis: false });
    expect(rig.sent.filter(({ from, request }) => from === again.peer && request.op === 'claim')).toHaveLength(8);
  });

  it('replaces those that do not answer any more', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(20);
    await rig.startAll();
    const node = first(nodes);
    const [gone] = node.outbound();
    await node.neighbours.stop();
    const lost = nodes.find(({ peer }) => peer === gone);
    if (lost !== undefined) rig.kill(lost);
    await node.neighbours.start();
    await rig.clock.advance(60_000);
    expect(node.outbound()).toHaveLength(8);
    expect(node.outbound()).not.toContain(gone);
  });
});

describe('without a value of the beacon', () => {
  function createGatedBeacon(): { beacon: EpochBeacon; gate: { isShut: boolean } } {
    const gate = { isShut: false };
    const { beacon: open } = rig;
    const beacon: EpochBeacon = {
      roundAt: (timeMs) => open.roundAt(timeMs),
      startOfRound: (round) => open.startOfRound(round),
      epochOfRound: (round) => open.epochOfRound(round),
      firstRoundOfEpoch: (epoch) => open.firstRoundOfEpoch(epoch),
      value: async (round) => {
        if (gate.isShut) throw new BeaconError({ code: 'BEACON_UNAVAILABLE', round, reason: 'nobody answers' });
        return open.value(round);
      },
    };
    return { beacon, gate };
  }

  it('the last choice stands, is healed by its own ranks, and says why', async () => {
    rig = new NeighbourRig();
    const { beacon, gate } = createGatedBeacon();
    const nodes = rig.addAged(20, { beacon });
    await rig.startAll();
    const node = first(nodes);
    const before = node.outbound();
    const chosenAtEpoch = rig.epoch;
    gate.isShut = true;
    for (let turn = 0; turn < 3; turn += 1) await rig.nextEpoch();
    expect(node.outbound()).toEqual(before);
    expect(node.neighbours.status()).toMatchObject({ chosenAtEpoch, problem: { code: 'BEACON_UNAVAILABLE' } });
    const lost = rig.nodes.get(before[0] ?? node.peer);
    if (lost === undefined) throw new TypeError('unreachable');
    rig.kill(lost);
    await rig.clock.advance(EPOCH_MS / 4);
    expect(node.outbound()).not.toContain(lost.peer);
    gate.isShut = false;
    await rig.clock.advance(EPOCH_MS / 4);
    expect(node.neighbours.status()).toMatchObject({ chosenAtEpoch: rig.epoch, problem: null, outbound: 8 });
    await rig.nextEpoch();
    const ends = node.neighbours
      .status()
      .neighbours.flatMap((view) => (view.direction === 'outbound' ? [view.endsAtEpoch] : []));
    expect(ends.filter((end) => end === rig.epoch + 2)).toHaveLength(4);
  });

  it('a beacon that never answers is not waited for without end', async () => {
    rig = new NeighbourRig();
    const { beacon } = createGatedBeacon();
    const silent = { ...beacon, value: () => new Promise<never>(() => undefined) };
    const node = rig.add('node', { beacon: silent });
    await rig.startAll();
    await rig.clock.advance(180_000);
    expect(node.neighbours.status().problem?.code).toBe('BEACON_SLOW');
    await node.neighbours.stop();
  });
});

describe('diversity', () => {
  const caps = { address: 2, asn: NO_CAP, operator: NO_CAP };

  it('holds no more of one address group than the cap', async () => {
    rig = new NeighbourRig();
    const node = rig.add('node', { options: { caps } });
    for (let index = 0; index < 40; index += 1) {
      const group = index < 30 ? 1 : index;
      const other = rig.add(`other ${index}`, { addresses: [`/ip4/203.0.${group}.${index}/tcp/1`] });
      rig.introduce(node, other.facts);
    }
    await rig.startAll([node]);
    const crowd = node.neighbours.status().neighbours.filter(({ groups }) => groups.includes('address 203.0.1.0/24'));
    expect(crowd).toHaveLength(2);
    expect(node.outbound()).toHaveLength(8);
  });

  it('lets go of one that is somewhere else than its record says', async () => {
    rig = new NeighbourRig();
    const node = rig.add('node', { options: { caps } });
    for (let index = 0; index < 12; index += 1) {
      // Its record names an address of its own; the connection leads to the same rack.
      const other = rig.add(`other ${index}`, { addresses: [`/ip4/203.0.1.${index}/tcp/1`] });
      rig.introduce(node, { ...other.facts, addresses: [`/ip4/198.51.${index}.1/tcp/1`] });
    }
    await rig.startAll([node]);
    expect(node.outbound()).toHaveLength(2);
    const codes = new Set(node.neighbours.status().refusals.map(({ code }) => code));
    expect(codes).toEqual(new Set(['crowded']));
  });

  it('lets go of one that comes back from where the table has as many as may be', async () => {
    rig = new NeighbourRig();
    const node = rig.add('node', { options: { caps }, table: { maxPerGroup: 2 } });
    for (let index = 0; index < 8; index += 1) {
      rig.introduce(node, rig.add(`other ${index}`, { addresses: [`/ip4/198.51.${index}.1/tcp/1`] }).facts);
    }
    await rig.startAll([node]);
    expect(node.outbound()).toHaveLength(8);
    for (const peer of node.outbound()) {
      rig.disconnect(peer, node.peer);
      rig.observed.set(peer, ['/ip4/203.0.1.1/tcp/1']);
      rig.connect(peer, node.peer);
    }
    await rig.clock.advance(1_000);
    expect(node.outbound()).toHaveLength(2);
    expect(node.neighbours.status().refusals.map(({ code }) => code)).toEqual(
      Array.from({ length: 6 }, () => 'crowded'),
    );
  });
});

describe('diversity by autonomous system', () => {
  const caps = { address: 2, asn: 4, operator: NO_CAP };
  /** All of 203.0.0.0/16 is one hoster, with as many address groups as it likes. */
  const autonomousSystems = { find: (ip: string) => (ip.startsWith('203.0.') ? 64_500 : null) };
  const ofSystem = (node: RigNode): number =>
    node.neighbours
      .status()
      .neighbours.filter(({ groups, direction }) => direction === 'outbound' && groups.includes('asn AS64500')).length;

  it('holds no more of one system than the cap, over epochs', async () => {
    rig = new NeighbourRig();
    const node = rig.add('node', { options: { caps }, autonomousSystems });
    for (let index = 0; index < 40; index += 1) {
      const address = index < 32 ? `/ip4/203.0.${index}.1/tcp/1` : `/ip4/198.51.${index}.1/tcp/1`;
      rig.introduce(node, rig.add(`other ${index}`, { addresses: [address] }).facts);
    }
    await rig.startAll([node]);
    expect([ofSystem(node), node.outbound().length]).toEqual([4, 8]);
    await rig.nextEpoch();
    expect([ofSystem(node), node.outbound().length]).toEqual([4, 8]);
  });

  it('counts where the connection leads, whatever the record says', async () => {
    rig = new NeighbourRig();
    const node = rig.add('node', { options: { caps }, autonomousSystems });
    for (let index = 0; index < 12; index += 1) {
      const other = rig.add(`other ${index}`, { addresses: [`/ip4/203.0.${index}.1/tcp/1`] });
      rig.introduce(node, { ...other.facts, addresses: [`/ip4/198.51.${index}.1/tcp/1`] });
    }
    await rig.startAll([node]);
    expect([ofSystem(node), node.outbound().length]).toEqual([4, 4]);
    expect(node.neighbours.status().refusals.map(({ code }) => code)).toContain('crowded');
  });
});

describe('a candidate that one source alone told of', () => {
  it('is passed over if the neighbours do not know it, and taken if they do', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(9);
    await rig.startAll();
    const node = first(nodes);
    const known = rig.add('known');
    const madeUp = rig.add('made up');
    for (const other of nodes.slice(1)) rig.introduce(other, known.facts);
    for (const peer of [known, madeUp]) rig.introduce(node, peer.facts, 10, ['attacker']);
    const lost = nodes[1];
    const other = nodes[2];
    if (lost === undefined || other === undefined) throw new TypeError('unreachable');
    rig.kill(lost);
    rig.kill(other);
    await rig.clock.advance(EPOCH_MS / 2);
    expect(node.outbound()).toContain(known.peer);
    expect(node.outbound()).not.toContain(madeUp.peer);
    expect(node.neighbours.status().refusals).toContainEqual(
      expect.objectContaining({ peer: madeUp.peer, code: 'unknown-to-others' }),
    );
  });
});

describe('a candidate that was unknown to others', () => {
  it('is asked about again later in the epoch, and taken once they know it', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(8);
    await rig.startAll();
    const node = first(nodes);
    const late = rig.add('late');
    rig.introduce(node, late.facts, 10, ['early teller']);
    const isRefused = (): boolean =>
      node.neighbours.status().refusals.some(({ peer, code }) => peer === late.peer && code === 'unknown-to-others');
    const { epoch } = rig;
    node.neighbours.noteNode(rig.add('another').facts, 'one');
    await rig.clock.advance(1_000);
    expect([isRefused(), node.outbound().includes(late.peer)]).toEqual([true, false]);
    // Its record has arrived there too; nothing tells this node so.
    for (const other of nodes.slice(1)) rig.introduce(other, late.facts);
    await rig.clock.advance(1_000);
    expect(node.outbound()).not.toContain(late.peer);
    await rig.clock.advance(EPOCH_MS / 2);
    expect(rig.epoch).toBe(epoch);
    expect(node.outbound()).toContain(late.peer);
  });
});

describe('the size of the network', () => {
  it('moves at most by a factor of two an epoch, whatever the neighbours say', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(20);
    for (const { peer } of nodes.slice(1)) {
      rig.answers.set(peer, () => ({ kind: 'accepted', networkSize: 1_000_000 }));
    }
    const node = first(nodes);
    await rig.startAll([node]);
    const sizes = [node.neighbours.status().networkSize];
    for (let turn = 0; turn < 4; turn += 1) {
      await rig.nextEpoch();
      sizes.push(node.neighbours.status().networkSize);
    }
    expect(sizes.slice(0, 4)).toEqual([20, 40, 80, 160]);
  });

  it('is what most of the chosen say when a few lie', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(20);
    const liars = new Set<PeerKey>(nodes.slice(15).map(({ peer }) => peer));
    for (const peer of liars) rig.answers.set(peer, () => ({ kind: 'accepted', networkSize: 1_000_000 }));
    await rig.startAll();
    for (let turn = 0; turn < 3; turn += 1) await rig.nextEpoch();
    for (const node of nodes.slice(0, 15)) expect(node.neighbours.status().networkSize).toBe(20);
  });
});

describe('a refusal', () => {
  it('leads to the next rank, and is remembered for the epoch', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(14);
    const node = first(nodes);
    const refusing = new Set<PeerKey>(nodes.slice(1, 5).map(({ peer }) => peer));
    for (const peer of refusing) rig.answers.set(peer, () => ({ kind: 'refused', code: 'full', detail: '' }));
    await rig.startAll([node]);
    expect(node.outbound()).toHaveLength(8);
    expect(node.outbound().filter((peer) => refusing.has(peer))).toEqual([]);
    const asked = (): number => rig.sent.filter(({ to }) => refusing.has(to)).length;
    const before = asked();
    await rig.clock.advance(EPOCH_MS / 2);
    expect(asked()).toBe(before);
    for (const { code } of node.neighbours.status().refusals) expect(code).toBe('full');
  });

  it('by somebody who was let go is that of a neighbour lost', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(14);
    await rig.startAll();
    const node = first(nodes);
    const [peer] = node.outbound();
    if (peer === undefined) throw new TypeError('unreachable');
    await rig.send(peer, node.peer, { op: 'leave', epoch: rig.epoch - 1, claim: 'yours' });
    expect(node.outbound()).toContain(peer);
    await rig.send(peer, node.peer, { op: 'leave', epoch: rig.epoch, claim: 'yours' });
    await rig.clock.advance(1_000);
    expect(node.outbound()).not.toContain(peer);
    expect(node.outbound()).toHaveLength(8);
  });

  it('of a peer that cannot be reached ends when it can', async () => {
    rig = new NeighbourRig();
    const nodes = rig.addAged(6);
    const node = first(nodes);
    const away = nodes.at(-1);
    if (away === undefined) throw new TypeError('unreachable');
    rig.down.add(away.peer);
    await rig.startAll();
    expect(node.outbound()).toHaveLength(4);
    rig.down.delete(away.peer);
    await rig.clock.advance(EPOCH_MS - 120_000);
    expect(node.outbound()).toHaveLength(5);
  });
});

it('a stopped node leaves no timer behind', async () => {
  rig = new NeighbourRig();
  const nodes = rig.addAged(10);
  await rig.startAll();
  await rig.stopAll();
  expect(rig.clock.pending).toBe(0);
  expect(first(nodes).vrfPublicKey).toEqual(createVrfKey('node 0'));
  expect(first(nodes).peer).toBe(createPeer('node 0'));
});
