import { describe, expect, it } from 'vitest';
import { decodePeer } from '../../../src/network/neighbours/candidates/candidate-table.ts';
import { IdealVrf } from '../../../src/sim/neighbours/ideal-vrf.ts';
import { Population } from '../../../src/sim/neighbours/population.ts';
import { SeededRandom } from '../../../src/sim/random/seeded-random.ts';
import { VRF_OUTPUT_BYTES, VRF_PROOF_BYTES } from '../../../src/vrf/ecvrf.ts';

describe('ideal VRF', () => {
  const random = new SeededRandom('vrf');
  const vrf = new IdealVrf();
  const [key, other] = [random.bytes(32), random.bytes(32)];
  vrf.register(key, random.bytes(32));
  vrf.register(other, random.bytes(32));
  const input = random.bytes(40);

  it('verifies its own proofs and no others', () => {
    const proof = vrf.prove(key, input);
    expect(proof).toHaveLength(VRF_PROOF_BYTES);
    const verdict = vrf.verify(key, input, proof);
    expect(verdict.kind === 'valid' && verdict.output.length).toBe(VRF_OUTPUT_BYTES);
    expect(vrf.verify(other, input, proof).kind).toBe('invalid');
    expect(vrf.verify(key, random.bytes(40), proof).kind).toBe('invalid');
    expect(vrf.verify(key, input, proof.with(3, (proof[3] ?? 0) ^ 1)).kind).toBe('invalid');
    expect(vrf.verify(random.bytes(32), input, proof).kind).toBe('invalid');
  });
});

describe('population', () => {
  const options = { nodes: 30, adversaries: 10, adversaryGroups: 2, vrf: 'ideal', expiresAtMs: 1_000 } as const;

  it('has peers with valid ids, honest ones in groups of their own', () => {
    const { members, honest } = new Population(new SeededRandom('people'), options);
    expect(honest).toHaveLength(20);
    const groups = (list: typeof members) =>
      new Set(list.map(({ facts }) => facts.addresses[0]?.split('.', 3).join('.')));
    expect(groups(honest).size).toBe(20);
    expect(groups(members.slice(20)).size).toBe(2);
    for (const { peer } of members) expect(decodePeer(peer)).toHaveLength(38);
  });

  it('opens a record for its own peer alone, and the newest key counts', async () => {
    const population = new Population(new SeededRandom('people'), options);
    const [first, second] = population.members;
    if (first === undefined || second === undefined) throw new TypeError('nobody is there');
    expect((await population.openNode(first.record, first.peer)).kind).toBe('opened');
    expect((await population.openNode(first.record, second.peer)).kind).toBe('refused');
    const renewed = population.renewKey(first);
    expect(renewed.facts.vrfPublicKey).not.toEqual(first.facts.vrfPublicKey);
    const opened = await population.openNode(renewed.record, first.peer);
    expect(opened.kind === 'opened' && opened.node.vrfPublicKey).toEqual(renewed.facts.vrfPublicKey);
    expect(population.find(first.peer)).toBe(renewed);
  });
});
