import { afterEach, describe, expect, it } from 'vitest';
import { encodeSelectionInput, rankCandidates } from '../../../../src/vrf/selection.ts';
import { createPeer, EPOCH_MS, NeighbourRig, RIG_NETWORK, type RigNode } from '../../../support/neighbour-rig.ts';

let rig = new NeighbourRig();
afterEach(() => rig.stopAll());

async function open(count: number, seed = 'rig'): Promise<RigNode[]> {
  rig = new NeighbourRig(seed);
  const nodes = rig.addAged(count);
  await rig.startAll();
  return nodes;
}

/** The lowest ranks of a node among the others, straight from the rule. */
async function computeRanking(node: RigNode, others: readonly RigNode[]): Promise<string[]> {
  const { value } = await rig.beacon.value(rig.beacon.firstRoundOfEpoch(rig.epoch));
  const input = encodeSelectionInput({ network: RIG_NETWORK, epoch: rig.epoch, beacon: value });
  const suite = rig.vrf.suite(node.vrfPublicKey);
  const verdict = suite.verify(node.vrfPublicKey, input, rig.vrf.prove(node.vrfPublicKey, input));
  if (verdict.kind === 'invalid') throw new TypeError('unreachable');
  const candidates = others.filter((other) => other !== node).map(({ peer }) => node.table.get(peer)?.candidate);
  return rankCandidates(
    verdict.output,
    candidates.filter((candidate) => candidate !== undefined),
  ).map(({ peer }) => peer);
}

describe('a node among many', () => {
  it('takes the eight lowest ranks when it starts, and each of them knows', async () => {
    const nodes = await open(24);
    for (const node of nodes) {
      const ranking = await computeRanking(node, nodes);
      expect(node.outbound().toSorted()).toEqual(ranking.slice(0, 8).toSorted());
      for (const peer of node.outbound()) expect(rig.nodes.get(peer)?.inbound()).toContain(node.peer);
    }
    const [first] = nodes;
    expect(first?.neighbours.status()).toMatchObject({ slots: 8, outbound: 8, isGenesis: false, networkSize: 24 });
    expect(first?.neighbours.status().neighbours.map(({ why }) => why)).not.toContain('genesis');
  });

  it('turns over half of them each epoch, to the lowest ranks of that epoch', async () => {
    const nodes = await open(24);
    const [node] = nodes;
    if (node === undefined) throw new TypeError('unreachable');
    for (let turn = 0; turn < 3; turn += 1) {
      const before = new Set(node.outbound());
      await rig.nextEpoch();
      const after = node.outbound();
      const fresh = node.neighbours
        .status()
        .neighbours.filter(({ direction, epoch }) => direction === 'outbound' && epoch === rig.epoch)
        .map(({ peer }) => peer);
      expect(after).toHaveLength(8);
      expect(fresh).toHaveLength(4);
      const held = after.filter((peer) => !fresh.includes(peer));
      expect(held.every((peer) => before.has(peer))).toBe(true);
      const ranking = (await computeRanking(node, nodes)).filter((peer) => !held.some((other) => other === peer));
      expect(fresh.toSorted()).toEqual(ranking.slice(0, 4).toSorted());
    }
  });

  it('replaces one that is lost by the next rank, once its grace is over', async () => {
    const nodes = await open(30);
    const [node] = nodes;
    const lost = rig.nodes.get(node?.outbound()[0] ?? createPeer('nobody'));
    if (node === undefined || lost === undefined) throw new TypeError('unreachable');
    const ranking = await computeRanking(node, nodes);
    rig.kill(lost);
    await rig.clock.advance(10_000);
    expect(node.outbound()).toContain(lost.peer);
    await rig.clock.advance(30_000);
    expect(node.outbound()).not.toContain(lost.peer);
    expect(node.outbound().toSorted()).toEqual(
      ranking
        .filter((peer) => peer !== lost.peer)
        .slice(0, 8)
        .toSorted(),
    );
    const views = node.neighbours.status().neighbours;
    expect(views.find(({ peer, direction }) => peer === ranking[8] && direction === 'outbound')?.why).toBe('healing');
    expect(node.neighbours.status().refusals).toContainEqual(
      expect.objectContaining({ peer: lost.peer, code: 'unreachable' }),
    );
    expect(node.kept.has(lost.peer)).toBe(false);
  });

  it('keeps one that is back within its grace, and claims its slot again', async () => {
    const nodes = await open(30);
    const [node] = nodes;
    const [peer] = node?.outbound() ?? [];
    if (node === undefined || peer === undefined) throw new TypeError('unreachable');
    rig.disconnect(node.peer, peer);
    rig.sent.length = 0;
    rig.connect(node.peer, peer);
    await rig.clock.advance(60_000);
    expect(node.outbound()).toContain(peer);
    expect(
      rig.sent.filter(({ from, to, request }) => from === node.peer && to === peer && request.op === 'claim'),
    ).toHaveLength(1);
  });

  it('heals within an epoch after 30 % have vanished', async () => {
    const nodes = await open(24);
    const gone = nodes.filter((_, index) => index % 10 < 3);
    for (const node of gone) rig.kill(node);
    await rig.clock.advance(EPOCH_MS / 2);
    for (const node of nodes.filter((other) => !gone.includes(other))) {
      expect(node.outbound()).toHaveLength(8);
      expect(node.outbound().filter((peer) => rig.down.has(peer))).toEqual([]);
    }
  });

  it('lets one go whose record has expired', async () => {
    rig = new NeighbourRig();
    const [node, ...others] = rig.addAged(10);
    const brief = rig.add('brief', { expiresAtMs: rig.clock.nowMs() + EPOCH_MS / 4 });
    if (node === undefined) throw new TypeError('unreachable');
    rig.introduceAll(brief, [node, ...others]);
    rig.introduce(node, brief.facts);
    await rig.startAll();
    const hasBrief = node.outbound().includes(brief.peer);
    await rig.clock.advance(EPOCH_MS / 2);
    expect({ hasBrief, ended: node.outbound().includes(brief.peer) }).toEqual({ hasBrief: true, ended: false });
    expect(node.neighbours.status().refusals).toContainEqual(expect.objectContaining({ code: 'expired' }));
    expect(brief.inbound()).not.toContain(node.peer);
  });

  it('says whose connections are to be kept, and no longer when the slot is over', async () => {
    const nodes = await open(30);
    const [node] = nodes;
    if (node === undefined) throw new TypeError('unreachable');
    for (const peer of node.outbound()) expect(node.kept.get(peer)).toBe('outbound');
    await rig.nextEpoch();
    await rig.nextEpoch();
    const now = new Set([...node.outbound(), ...node.inbound()]);
    expect([...node.kept.keys()].toSorted()).toEqual([...now].toSorted());
  });
});
