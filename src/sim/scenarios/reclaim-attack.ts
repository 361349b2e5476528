import type { NeighbourResponse } from '../../domain/messages.ts';
import { decodePeer } from '../../network/neighbours/candidates/candidate-table.ts';
import { RANK_SLACK } from '../../network/neighbours/constants.ts';
import { computeRank, isRankWithinBound } from '../../vrf/selection.ts';
import type { Measures, RunOptions } from '../interface.ts';
import type { NeighbourSimulation } from '../neighbours/neighbour-simulation.ts';
import type { Member } from '../neighbours/population.ts';
import { createSimulation, PRODUCTION_CAPS, SLOTS } from './neighbour-parts.ts';

/** Below the rate at which a node checks proofs, so that none is refused for being one too many. */
export const CLAIM_EVERY_MS = 50;
export const PATIENCE_MS = 15_000;
/** Keys that are ground for one claim before it is given up: at 10,000 nodes one of 312 will do. */
const MOST_KEYS_GROUND = 10_000;

interface Aim {
  readonly key: Member;
  readonly victim: Member;
  /** What the VRFs of this epoch are computed over. */
  readonly input: Uint8Array;
}

/** Whether the VRF of a key ranks the victim low enough to claim it in this epoch. */
export async function selectsVictim(simulation: NeighbourSimulation, { key, victim, input }: Aim): Promise<boolean> {
  const verdict = key.vrf.verify(key.facts.vrfPublicKey, input, await key.vrf.prove(input));
  if (verdict.kind === 'invalid') return false;
  const rank = computeRank(verdict.output, decodePeer(victim.peer));
  const networkSize = simulation.population.members.length;
  return isRankWithinBound(rank, { slots: SLOTS, slack: RANK_SLACK, networkSize });
}

/** A claim as the protocol has it, for the epoch of now. */
export async function claimWith(
  simulation: NeighbourSimulation,
  { key, victim, input }: Aim,
): Promise<NeighbourResponse> {
  const { facts, record } = key;
  const { epoch } = simulation;
  const proof = await key.vrf.prove(input);
  return simulation.request(key, victim.peer, { op: 'claim', epoch, vrfPublicKey: facts.vrfPublicKey, proof, record });
}

interface Siege {
  readonly victim: Member;
  /** The attacker's nodes that are set on this victim, each with its newest key. */
  readonly roster: Member[];
  readonly rack: (host: number) => string;
}

/**
 * Nodes of age whose own VRF chose the victim claim it as anybody may. Whoever has a slot comes again in each later epoch,
 * with a new key that is ground for its beacon, and from a /24 in which all of them are by then.
 */
export async function reclaimSlots(
  run: RunOptions,
  { victims, epochs }: { readonly victims: number; readonly epochs: number },
  adversaries: number,
): Promise<Measures> {
  const simulation = createSimulation(run, { label: 'eclipse, claiming again', adversaries, ...PRODUCTION_CAPS });
  await simulation.start();
  const { honest, members } = simulation.population;
  const attackers = members.filter(({ isHonest }) => !isHonest);
  const sieges = honest.slice(0, victims).map((victim, index): Siege => {
    const rack = (host: number): string => `/ip4/9.9.${index}.${1 + (host % 254)}/tcp/4717`;
    return { victim, roster: attackers.filter((_, number) => number % victims === index), rack };
  });
  const [young, grouped, held]: [number[], number[], number[]] = [[], [], []];
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    if (epoch > 0) await simulation.advanceEpochs(1);
    for (const siege of sieges) await claimAgain(simulation, siege);
    for (const siege of sieges) {
      const slots = listSlots(simulation, siege);
      held.push(slots.length);
      young.push(slots.filter(({ why }) => why === 'genesis').length);
      grouped.push(slots.filter(({ peer }) => siege.roster.some((key) => key.peer === peer && hasMoved(key))).length);
    }
  }
  return {
    reclaimedYoungMost: Math.max(...young),
    reclaimedGroupMost: Math.max(...grouped),
    reclaimedHeldMost: Math.max(...held),
  };
}

async function claimAgain(simulation: NeighbourSimulation, siege: Siege): Promise<void> {
  const { victim, roster, rack } = siege;
  const input = await simulation.selectionInput();
  const holders = new Set(listSlots(simulation, siege).map(({ peer }) => peer));
  for (const [index, member] of roster.entries()) {
    let key = member;
    for (let ground = 0; ground < MOST_KEYS_GROUND && holders.has(member.peer); ground += 1) {
      key = simulation.population.renewKey(key, { addresses: [rack(index)] });
      if (await selectsVictim(simulation, { key, victim, input })) break;
    }
    roster[index] = key;
    if (!(await selectsVictim(simulation, { key, victim, input }))) continue;
    void claimWith(simulation, { key, victim, input });
    await simulation.clock.advance(CLAIM_EVERY_MS);
  }
  await simulation.clock.advance(PATIENCE_MS);
}

function hasMoved({ facts }: Member): boolean {
  return facts.addresses.some((address) => address.startsWith('/ip4/9.9.'));
}

/** Inbound slots at the victim that the attacker's nodes hold. */
function listSlots(simulation: NeighbourSimulation, { victim, roster }: Siege) {
  const peers = new Set(roster.map(({ peer }) => peer));
  const { neighbours } = simulation.core(victim.number).status();
  return neighbours.filter(({ direction, peer }) => direction === 'inbound' && peers.has(peer));
}
