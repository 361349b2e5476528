import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NeighbourClaim, NeighbourResponse } from '../../../../src/domain/messages.ts';
import { NEIGHBOUR_CHECKS } from '../../../../src/network/interface.ts';
import { encodeSelectionInput } from '../../../../src/vrf/selection.ts';
import {
  createVrfKey,
  EPOCH_MS,
  encodeFacts,
  NeighbourRig,
  RIG_NETWORK,
  type RigNode,
  type RigNodeSetup,
} from '../../../support/neighbour-rig.ts';

let rig: NeighbourRig;
let node: RigNode;
beforeEach(async () => {
  rig = new NeighbourRig();
  node = rig.add('node');
  // Somebody is known for long, so that the node's own table is not young.
  rig.introduce(node, rig.add('old').facts);
  await rig.startAll([node]);
});
afterEach(() => rig.stopAll());

/** Records that expire then can be renewed. */
const FAR_MS = Number.MAX_SAFE_INTEGER - 10;

async function draw(claimant: Pick<RigNode, 'vrfPublicKey' | 'facts'>, epoch = rig.epoch): Promise<NeighbourClaim> {
  const { value } = await rig.beacon.value(rig.beacon.firstRoundOfEpoch(epoch));
  const input = encodeSelectionInput({ network: RIG_NETWORK, epoch, beacon: value });
  const { vrfPublicKey, facts } = claimant;
  const proof = rig.vrf.prove(vrfPublicKey, input);
  return { op: 'claim', epoch, vrfPublicKey, proof, record: encodeFacts(facts) };
}

const claim = async (claimant: RigNode, change: Partial<NeighbourClaim> = {}): Promise<NeighbourResponse> =>
  rig.send(claimant.peer, node.peer, { ...(await draw(claimant)), ...change });

function addKnown(name: string, ageEpochs = 10): RigNode {
  const claimant = rig.add(name);
  rig.introduce(node, claimant.facts, ageEpochs);
  return claimant;
}

describe('a claim', () => {
  it('that is right is accepted, and answered by the size of the network', async () => {
    const claimant = addKnown('claimant');
    expect(await claim(claimant)).toEqual({ kind: 'accepted', networkSize: 2 });
    expect(node.neighbours.isNeighbour(claimant.peer)).toBe('inbound');
    expect(node.kept.get(claimant.peer)).toBe('inbound');
    expect(node.metrics.read('fogproof_neighbour_claims_total', { code: 'accepted' })).toBe(1);
  });

  it('of the last epoch is accepted, an older one and a coming one are not', async () => {
    const claimant = addKnown('claimant');
    const { epoch } = rig;
    const last = await draw(claimant, epoch - 1);
    expect(await claim(claimant, last)).toMatchObject({ kind: 'accepted' });
    const older = await draw(claimant, epoch - 2);
    expect(await claim(claimant, older)).toMatchObject({ kind: 'refused', code: 'wrong-epoch' });
    expect(await claim(claimant, { epoch: epoch + 1 })).toMatchObject({ kind: 'refused', code: 'wrong-epoch' });
    expect(node.penalties.size).toBe(0);
  });

  it('of an epoch that a faster clock is in already may come again', async () => {
    const claimant = addKnown('claimant');
    const { epoch } = rig;
    await rig.clock.advance(EPOCH_MS - 60_000 - 10_000 - 5_000);
    expect(rig.epoch).toBe(epoch);
    expect(await claim(claimant, { epoch: epoch + 1 })).toMatchObject({ kind: 'refused', code: 'no-beacon' });
    expect(node.penalties.size).toBe(0);
  });

  it('with a proof of another epoch, another key or nothing at all is refused and costs', async () => {
    const claimant = addKnown('claimant');
    const other = addKnown('other');
    const replayed = await draw(claimant, rig.epoch - 1);
    const foreign = await draw(other);
    const proofs = [replayed.proof, foreign.proof, new Uint8Array(80)];
    for (const proof of proofs) {
      expect(await claim(claimant, { proof })).toMatchObject({ kind: 'refused', code: 'bad-proof' });
    }
    expect(node.penalties.get(claimant.peer)).toBe(75);
    expect(node.metrics.read('fogproof_neighbour_claims_total', { code: 'bad-proof' })).toBe(3);
    expect(node.inbound()).toEqual([]);
  });

  it("with another peer's record, or one that is none, is refused", async () => {
    const claimant = addKnown('claimant');
    const other = addKnown('other');
    expect(await claim(claimant, { record: encodeFacts(other.facts) })).toMatchObject({ code: 'bad-record' });
    const record = { kind: 'envelope', envelope: new Uint8Array(3) } as const;
    expect(await claim(claimant, { record })).toMatchObject({ code: 'bad-record' });
    expect(node.penalties.get(claimant.peer)).toBe(20);
  });

  it('by a key that the record does not name is refused', async () => {
    const claimant = addKnown('claimant');
    const other = rig.add('other');
    const { vrfPublicKey, proof } = await draw(other);
    expect(await claim(claimant, { vrfPublicKey, proof })).toMatchObject({ code: 'key-mismatch' });
  });

  it('whose proof was drawn for another node says nothing here: the rank is that of this node', async () => {
    // Of many candidates the bound takes few: whoever is refused was not chosen.
    for (let index = 0; index < 400; index += 1) rig.introduce(node, rig.add(`crowd ${index}`).facts);
    await rig.nextEpoch();
    const answers = [];
    for (let index = 0; index < 40; index += 1) {
      const claimant = rig.nodes.get([...rig.nodes.keys()][index + 2] ?? node.peer);
      if (claimant !== undefined) answers.push(await claim(claimant));
    }
    const refused = answers.filter((answer) => answer.kind === 'refused' && answer.code === 'above-bound');
    const accepted = answers.filter(({ kind }) => kind === 'accepted');
    expect(refused.length).toBeGreaterThan(20);
    expect(refused.length + accepted.length).toBe(40);
    for (const { shareOfBound, direction } of node.neighbours.status().neighbours) {
      if (direction === 'inbound') expect(shareOfBound).toBeLessThan(1);
    }
  });

  it('that is made again keeps its slot and its age', async () => {
    const claimant = addKnown('claimant');
    await claim(claimant);
    const [before] = node.neighbours.status().neighbours.filter(({ direction }) => direction === 'inbound');
    await rig.clock.advance(1_000);
    await claim(claimant);
    const after = node.neighbours.status().neighbours.filter(({ direction }) => direction === 'inbound');
    expect(after).toEqual([before]);
  });

  it('that is made while the node stops is refused without a penalty', async () => {
    const claimant = addKnown('claimant');
    await node.neighbours.stop();
    expect(await claim(claimant)).toMatchObject({ kind: 'refused', code: 'stopping' });
  });

  it('beyond what can be checked at once is told to come again', async () => {
    const claimant = addKnown('claimant');
    const answers = [];
    for (let index = 0; index < 140; index += 1) {
      answers.push(await claim(claimant, { proof: new Uint8Array(80).fill(index) }));
    }
    const codes = answers.map((answer) => (answer.kind === 'refused' ? answer.code : ''));
    expect(codes.slice(0, 128).every((code) => code === 'bad-proof')).toBe(true);
    expect(codes.at(-1)).toBe('busy');
  });
});

describe('a young key', () => {
  const claimAll = async (names: readonly string[], ageEpochs: number): Promise<string[]> => {
    const codes = [];
    for (const name of names) {
      const answer = await claim(addKnown(name, ageEpochs));
      codes.push(answer.kind === 'refused' ? answer.code : answer.kind);
    }
    return codes;
  };
  const names = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

  it('gets one of a quarter of the slots, and is marked', async () => {
    const codes = await claimAll(names('young', 10), 1);
    expect(codes.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 'accepted'));
    expect(codes.slice(8)).toEqual(['too-young', 'too-young']);
    expect(new Set(node.neighbours.status().neighbours.map(({ why }) => why))).toContain('genesis');
  });

  it('makes room for aged ones first; then the highest rank goes, and is told', async () => {
    await claimAll(names('young', 8), 1);
    const young = new Set(node.inbound());
    await claimAll(names('aged', 24), 10);
    expect(node.inbound()).toHaveLength(32);
    await claimAll(names('more', 8), 10);
    expect(node.inbound().filter((peer) => young.has(peer))).toEqual([]);
    const ranks = node.neighbours.status().neighbours.filter(({ direction }) => direction === 'inbound');
    const worst = ranks.toSorted((a, b) => (a.rank < b.rank ? 1 : -1))[0];
    const codes = await claimAll(names('last', 6), 10);
    expect(codes).toContain('accepted');
    expect(node.inbound()).not.toContain(worst?.peer);
    expect(node.inbound()).toHaveLength(32);
    await rig.clock.advance(1_000);
    const told = rig.sent.filter(({ from, request }) => from === node.peer && request.op === 'leave');
    expect(told.map(({ to }) => to)).toContain(worst?.peer);
    expect(codes.every((code) => code === 'accepted' || code === 'full')).toBe(true);
  });

  it('is what a new key makes of an old peer', async () => {
    const claimant = addKnown('claimant');
    expect(await claim(claimant)).toMatchObject({ kind: 'accepted' });
    const renewed = { ...claimant.facts, vrfPublicKey: createVrfKey('ground') };
    node.table.note({ node: renewed, teller: 'one', epoch: rig.epoch });
    expect(node.table.get(claimant.peer)).toMatchObject({ firstSeenEpoch: rig.epoch, isConfirmed: false });
  });
});

describe('a new key of whoever has a slot', () => {
  it('is claimed with as any young one is, and the slot of the old key ends', async () => {
    const claimants = Array.from({ length: 12 }, (_, index) => rig.add(`holder ${index}`, { expiresAtMs: FAR_MS }));
    for (const { facts } of claimants) rig.introduce(node, facts);
    for (const claimant of claimants) expect(await claim(claimant)).toMatchObject({ kind: 'accepted' });
    await rig.nextEpoch();
    const codes: string[] = [];
    for (const { name, peer, facts } of claimants) {
      const vrfPublicKey = createVrfKey(`ground for ${name}`);
      rig.vrf.suite(vrfPublicKey);
      const renewed = { peer, vrfPublicKey, facts: { ...facts, vrfPublicKey, expiresAtMs: FAR_MS + 1 } };
      const answer = await rig.send(peer, node.peer, await draw(renewed));
      codes.push(answer.kind === 'refused' ? answer.code : answer.kind);
    }
    expect(codes).toEqual([
      ...Array.from({ length: 8 }, () => 'accepted'),
      ...Array.from({ length: 4 }, () => 'too-young'),
    ]);
    expect(node.inbound()).toHaveLength(8);
    expect(node.kept.has(claimants.at(-1)?.peer ?? node.peer)).toBe(false);
  });
});

describe('many of one group', () => {
  const caps = { address: 2, asn: 4, operator: Number.POSITIVE_INFINITY };

  async function claimAll(count: number, setup: RigNodeSetup, addressOf: (index: number) => string): Promise<string[]> {
    const capped = rig.add('capped', setup);
    rig.introduce(capped, rig.add('older').facts);
    await rig.startAll([capped]);
    const codes: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const claimant = rig.add(`rack ${index}`, { addresses: [addressOf(index)] });
      rig.introduce(capped, claimant.facts);
      const answer = await rig.send(claimant.peer, capped.peer, await draw(claimant));
      codes.push(answer.kind === 'refused' ? answer.code : answer.kind);
    }
    return codes;
  }

  it('get a quarter of the inbound slots where address groups are capped', async () => {
    const codes = await claimAll(10, { options: { caps } }, (index) => `/ip4/203.0.113.${index}/tcp/1`);
    expect(codes).toEqual([...Array.from({ length: 8 }, () => 'accepted'), 'full', 'full']);
  });

  it('get no more by claiming again from there, and lose the slot that they had elsewhere', async () => {
    const capped = rig.add('capped', { options: { caps } });
    rig.introduce(capped, rig.add('older').facts);
    await rig.startAll([capped]);
    const claimants = Array.from({ length: 12 }, (_, index) =>
      rig.add(`mover ${index}`, { addresses: [`/ip4/203.0.${index}.1/tcp/1`], expiresAtMs: FAR_MS }),
    );
    for (const { facts } of claimants) rig.introduce(capped, facts);
    for (const claimant of claimants) await rig.send(claimant.peer, capped.peer, await draw(claimant));
    expect(capped.inbound()).toHaveLength(12);
    const codes: string[] = [];
    for (const [index, claimant] of claimants.entries()) {
      const moved = [`/ip4/198.51.100.${index}/tcp/1`];
      const record = encodeFacts({ ...claimant.facts, addresses: moved, expiresAtMs: FAR_MS + 1 });
      rig.observed.set(claimant.peer, moved);
      const answer = await rig.send(claimant.peer, capped.peer, { ...(await draw(claimant)), record });
      codes.push(answer.kind === 'refused' ? answer.code : answer.kind);
    }
    expect(codes).toEqual([...Array.from({ length: 8 }, () => 'accepted'), ...Array.from({ length: 4 }, () => 'full')]);
    expect(capped.inbound()).toHaveLength(8);
    expect(capped.kept.has(claimants.at(-1)?.peer ?? node.peer)).toBe(false);
  });

  it('get no more by being no candidates, where the table has as many of them as may be', async () => {
    const codes = await claimAll(
      10,
      { options: { caps }, table: { maxPerGroup: 3 } },
      (i) => `/ip4/203.0.113.${i}/tcp/1`,
    );
    expect(codes).toEqual([...Array.from({ length: 8 }, () => 'accepted'), 'full', 'full']);
  });

  it('are let go, and told, when they come back from there', async () => {
    const capped = rig.add('capped', { options: { caps } });
    rig.introduce(capped, rig.add('older').facts);
    await rig.startAll([capped]);
    const claimants = Array.from({ length: 9 }, (_, index) =>
      rig.add(`mover ${index}`, { addresses: [`/ip4/203.0.${index}.1/tcp/1`] }),
    );
    for (const { facts } of claimants) rig.introduce(capped, facts);
    for (const claimant of claimants) await rig.send(claimant.peer, capped.peer, await draw(claimant));
    for (const { peer } of claimants) {
      rig.disconnect(peer, capped.peer);
      rig.observed.set(peer, ['/ip4/198.51.100.1/tcp/1']);
      rig.connect(peer, capped.peer);
    }
    expect(capped.inbound()).toHaveLength(8);
    await rig.clock.advance(1_000);
    const told = rig.sent.filter(({ from, request }) => from === capped.peer && request.op === 'leave');
    expect(told.map(({ to }) => to)).toEqual([claimants.at(-1)?.peer]);
  });

  it('get half of them where autonomous systems are', async () => {
    const setup = { options: { caps }, autonomousSystems: { find: () => 64_500 } };
    const codes = await claimAll(18, setup, (index) => `/ip4/203.0.${index}.1/tcp/1`);
    expect(codes).toEqual([...Array.from({ length: 16 }, () => 'accepted'), 'full', 'full']);
  });

  it('get any number where that kind is not capped', async () => {
    const setup = { options: { caps: { ...caps, asn: Number.POSITIVE_INFINITY } } };
    const autonomousSystems = { find: () => 64_500 };
    const codes = await claimAll(18, { ...setup, autonomousSystems }, (index) => `/ip4/203.0.${index}.1/tcp/1`);
    expect(new Set(codes)).toEqual(new Set(['accepted']));
  });
});

describe('verify', () => {
  it('checks what an inbound neighbour once showed, step by step', async () => {
    const claimant = addKnown('claimant');
    await claim(claimant);
    const [check] = await node.neighbours.verify(claimant.peer, {});
    expect(check).toMatchObject({ direction: 'inbound', isValid: true });
    expect(check?.steps.map(({ name }) => name)).toEqual([...NEIGHBOUR_CHECKS]);
    expect(new Set(check?.steps.map(({ verdict }) => verdict))).toEqual(new Set(['passed']));
  });

  it('finds a slot that is no longer what it was', async () => {
    const claimant = addKnown('claimant');
    await claim(claimant);
    const renewed = { ...claimant.facts, vrfPublicKey: createVrfKey('other') };
    node.table.note({ node: renewed, teller: 'one', epoch: rig.epoch });
    const [check] = await node.neighbours.verify(claimant.peer, {});
    expect(check?.isValid).toBe(false);
    expect(check?.steps.find(({ verdict }) => verdict === 'failed')?.name).toBe('key');
  });

  it('checks an own choice by the own proof', async () => {
    const [peer] = node.outbound();
    const [check] = await node.neighbours.verify(peer ?? node.peer, {});
    expect(check).toMatchObject({ direction: 'outbound', isValid: true });
  });

  it('says that a stranger is none', async () => {
    const stranger = rig.add('stranger');
    expect(await node.neighbours.verify(stranger.peer, {})).toEqual([
      { peer: stranger.peer, direction: null, isValid: false, steps: [] },
    ]);
  });
});

describe('leaving', () => {
  it('ends the slot that was claimed, and only for that epoch', async () => {
    const claimant = addKnown('claimant');
    await claim(claimant);
    await rig.send(claimant.peer, node.peer, { op: 'leave', epoch: rig.epoch - 1, claim: 'mine' });
    expect(node.inbound()).toEqual([claimant.peer]);
    await rig.send(claimant.peer, node.peer, { op: 'leave', epoch: rig.epoch, claim: 'mine' });
    expect(node.inbound()).toEqual([]);
    expect(node.kept.has(claimant.peer)).toBe(false);
  });

  it('says since when a pair is known, and nothing of another key', async () => {
    const claimant = addKnown('claimant', 5);
    const pairs = [
      { peer: claimant.peer, vrfPublicKey: claimant.vrfPublicKey },
      { peer: claimant.peer, vrfPublicKey: createVrfKey('other') },
    ];
    expect(await rig.send(claimant.peer, node.peer, { op: 'known', pairs })).toEqual({
      kind: 'known',
      since: [rig.epoch - 5, null],
    });
  });
});
