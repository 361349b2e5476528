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
  P_BOUNDS,
  PRODUCTION_CAPS,
  SLOTS,
} from './neighbour-parts.ts';

const PARAMETERS = { adversaries: 1 / 3, crowdedGroups: 10, loss: LOSS, slots: SLOTS, capsOn: PRODUCTION_CAPS };

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
      meaning: 'the same with the caps of the production preset, each node in a /24 of its own',
    },
    {
      measure: 'crowdedRatio',
      rule: 'at-most',
      bound: 0.5,
      leastNodes: 3_000,
      meaning: 'its mean against chance with these caps, all its nodes in ten /24s',
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
  const on = await draw('caps on', { ...PRODUCTION_CAPS });
  const crowded = await draw('caps on, crowded', {
    ...PRODUCTION_CAPS,
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
      chartDraw('Caps on, each node in a /24 of its own', on.drawn),
      chartDraw('Caps on, the attacker in ten /24s', crowded.drawn),
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}
