import { INBOUND_GROUP_SHARES, INBOUND_SLOTS, RANK_SLACK, YOUNG_SHARE } from '../../network/neighbours/constants.ts';
import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { fitAdversaries } from '../neighbours/measure-neighbours.ts';
import type { NeighbourSimulation } from '../neighbours/neighbour-simulation.ts';
import type { Member } from '../neighbours/population.ts';
import { computeMean } from '../statistics/quantile.ts';
import {
  chartDraw,
  createSimulation,
  LOSS,
  listNeighbourModels,
  NEIGHBOUR_PRODUCTION,
  NEIGHBOUR_SIZES,
  P_BOUNDS,
  SLOTS,
} from './neighbour-parts.ts';
import { CLAIM_EVERY_MS, claimWith, PATIENCE_MS, reclaimSlots, selectsVictim } from './reclaim-attack.ts';

const PARAMETERS = {
  adversaries: 1 / 3,
  victims: 10,
  keysGroundPerVictim: 2_000,
  ageEpochs: 2,
  reclaiming: { victims: 2, epochs: 6 },
  loss: LOSS,
  slots: SLOTS,
};

export const eclipseScenario: Scenario = {
  name: 'eclipse',
  question:
    'The attacker makes thousands of keys once the beacon is known, keeps those whose VRF chose a victim, and claims its inbound slots with them, at once and again when they are of age: does it get in? Those that chance let in come again each epoch, with a ground key and from one /24: do they stay?',
  nodes: NEIGHBOUR_SIZES,
  parameters: PARAMETERS,
  thresholds: [
    {
      measure: 'youngMost',
      rule: 'at-most',
      bound: INBOUND_SLOTS * YOUNG_SHARE,
      meaning: 'inbound slots of one victim that fresh keys get',
    },
    {
      measure: 'honestKept',
      rule: 'at-least',
      bound: 1,
      meaning: 'inbound slots of honest nodes at the victims that stay',
    },
    {
      measure: 'agedAdmittedRatio',
      rule: 'at-most',
      bound: 2,
      meaning: 'keys admitted two epochs later, against chance',
    },
    {
      measure: 'agedMost',
      rule: 'at-most',
      bound: INBOUND_SLOTS / 2,
      meaning: 'inbound slots of one victim that they hold then',
    },
    {
      measure: 'reclaimedYoungMost',
      rule: 'at-most',
      bound: INBOUND_SLOTS * YOUNG_SHARE,
      meaning: 'inbound slots of one victim that peers hold which had one and came again with ground keys',
    },
    {
      measure: 'reclaimedGroupMost',
      rule: 'at-most',
      bound: INBOUND_SLOTS * INBOUND_GROUP_SHARES.address,
      meaning: 'the same of those that moved to one /24 meanwhile, with the caps of the production preset',
    },
    {
      ...P_BOUNDS,
      measure: 'p',
      meaning: 'chi-square of adversarial neighbours that honest nodes chose against the hypergeometric',
    },
  ],
  run: runEclipse,
};

interface Attack {
  readonly victim: Member;
  readonly keys: readonly Member[];
}

async function runEclipse(run: RunOptions): Promise<Outcome> {
  const adversaries = Math.floor(run.nodes * PARAMETERS.adversaries);
  const simulation = createSimulation(run, { label: 'eclipse', adversaries });
  await simulation.start();
  const drawn = fitAdversaries(simulation, SLOTS);
  run.onProgress('grinding');
  const attacks: Attack[] = [];
  for (const victim of simulation.population.honest.slice(0, PARAMETERS.victims)) {
    attacks.push({ victim, keys: await grindKeys(simulation, victim) });
  }
  const honestBefore = attacks.map(({ victim }) => listHonestInbound(simulation, victim));
  run.onProgress('claiming with fresh keys');
  await claimAll(simulation, attacks);
  const young = attacks.map((attack) => countHeld(simulation, attack));
  const kept = attacks.map(({ victim }, index) => {
    const after = new Set(listHonestInbound(simulation, victim));
    const before = honestBefore[index] ?? [];
    return before.length === 0 ? 1 : before.filter((peer) => after.has(peer)).length / before.length;
  });
  run.onProgress('claiming with keys of age');
  await simulation.advanceEpochs(PARAMETERS.ageEpochs);
  const { claims, accepted } = await claimAll(simulation, attacks);
  const aged = attacks.map((attack) => countHeld(simulation, attack));
  const reclaimed = await reclaimSlots(run, PARAMETERS.reclaiming, adversaries);
  const chance = Math.min(1, (RANK_SLACK * SLOTS) / run.nodes);
  return {
    measures: {
      youngMost: Math.max(...young),
      youngMean: computeMean(young),
      honestKept: Math.min(...kept),
      agedAdmittedRatio: accepted / claims / chance,
      agedMost: Math.max(...aged),
      agedMean: computeMean(aged),
      keysClaimedPerVictim: computeMean(attacks.map(({ keys }) => keys.length)),
      ...reclaimed,
      p: drawn.fit.p,
      meanAdversaries: drawn.mean,
      expectedMean: drawn.expectedMean,
    },
    charts: [chartDraw('Chosen by honest nodes: keys cannot be aimed at them', drawn)],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}

/** Fresh identities whose VRF of this epoch ranks the victim low enough to claim it. */
async function grindKeys(simulation: NeighbourSimulation, victim: Member): Promise<readonly Member[]> {
  const { population } = simulation;
  const host = population.members.at(-1) as Member;
  const input = await simulation.selectionInput();
  const found: Member[] = [];
  for (let made = 0; made < PARAMETERS.keysGroundPerVictim; made += 1) {
    const key = population.createExtra(host);
    if (await selectsVictim(simulation, { key, victim, input })) found.push(key);
  }
  return found;
}

/** Every key claims its victim, with an honest proof for the epoch of now. */
async function claimAll(simulation: NeighbourSimulation, attacks: readonly Attack[]) {
  const input = await simulation.selectionInput();
  let [claims, accepted] = [0, 0];
  for (const { victim, keys } of attacks) {
    for (const key of keys) {
      claims += 1;
      const answer = claimWith(simulation, { key, victim, input });
      void answer.then(({ kind }) => {
        if (kind === 'accepted') accepted += 1;
      });
      await simulation.clock.advance(CLAIM_EVERY_MS);
    }
  }
  await simulation.clock.advance(PATIENCE_MS);
  return { claims, accepted };
}

function listHonestInbound(simulation: NeighbourSimulation, victim: Member): readonly string[] {
  const { neighbours } = simulation.core(victim.number).status();
  return neighbours
    .filter(({ direction, peer }) => direction === 'inbound' && simulation.population.find(peer)?.isHonest === true)
    .map(({ peer }) => peer);
}

function countHeld(simulation: NeighbourSimulation, { victim, keys }: Attack): number {
  const core = simulation.core(victim.number);
  return keys.filter(({ peer }) => ['inbound', 'both'].includes(core.isNeighbour(peer) ?? '')).length;
}
