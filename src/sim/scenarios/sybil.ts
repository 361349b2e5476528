import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { fitAdversaries } from '../neighbours/measure-neighbours.ts';
import {
  chartDraw,
  createSimulation,
  GAP_THRESHOLDS,
  LOSS,
  listNeighbourModels,
  measureGap,
  NEIGHBOUR_PRODUCTION,
  NEIGHBOUR_SIZES,
  ONE_PER_ADDRESS_GROUP,
  P_BOUNDS,
  SLOTS,
} from './neighbour-parts.ts';

const PARAMETERS = { adversaries: 1 / 3, crowdedGroups: 10, loss: LOSS, slots: SLOTS };

export const sybilScenario: Scenario = {
  name: 'sybil',
  question:
    'A third of all identities is one attacker: how many of the neighbours that honest nodes choose are its own?',
  nodes: { ...NEIGHBOUR_SIZES, usual: 10_000, least: 300 },
  parameters: PARAMETERS,
  thresholds: [
    { ...P_BOUNDS, measure: 'pCapsOff', meaning: 'chi-square against the hypergeometric, no caps' },
    {
      ...P_BOUNDS,
      measure: 'pCapsOn',
      meaning: 'the same, one neighbour of each /24, the attacker in as many /24s as nodes',
    },
    {
      measure: 'crowdedRatio',
      rule: 'at-most',
      bound: 0.95,
      meaning: 'its mean against chance, with all its nodes in ten /24s',
    },
    ...GAP_THRESHOLDS,
  ],
  run: runSybil,
};

async function runSybil(run: RunOptions): Promise<Outcome> {
  const adversaries = Math.floor(run.nodes * PARAMETERS.adversaries);
  const draw = async (label: string, changes: Parameters<typeof createSimulation>[1] | object) => {
    const simulation = createSimulation(run, { adversaries, ...changes, label });
    await simulation.start();
    const drawn = fitAdversaries(simulation, SLOTS);
    return { drawn, gap: label === 'caps off' ? measureGap(simulation, run.seed) : null };
  };
  const off = await draw('caps off', {});
  const on = await draw('caps on', { caps: ONE_PER_ADDRESS_GROUP });
  const crowded = await draw('caps on, crowded', {
    caps: ONE_PER_ADDRESS_GROUP,
    adversaryGroups: PARAMETERS.crowdedGroups,
  });
  return {
    measures: {
      pCapsOff: off.drawn.fit.p,
      pCapsOn: on.drawn.fit.p,
      chiSquareCapsOff: off.drawn.fit.statistic,
      degrees: off.drawn.fit.degrees,
      crowdedRatio: crowded.drawn.mean / crowded.drawn.expectedMean,
      meanCapsOff: off.drawn.mean,
      meanCapsOn: on.drawn.mean,
      meanCrowded: crowded.drawn.mean,
      expectedMean: off.drawn.expectedMean,
      ...off.gap,
    },
    charts: [
      chartDraw('Caps off', off.drawn),
      chartDraw('One neighbour of each /24', on.drawn),
      chartDraw('One of each /24, the attacker in ten of them', crowded.drawn),
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}
