import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { fitAdversaries } from '../neighbours/measure-neighbours.ts';
import type { Member } from '../neighbours/population.ts';
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

const PARAMETERS = { adversaries: 1 / 3, epochsOfGrinding: 3, epochsOfRest: 4, loss: LOSS, slots: SLOTS };

export const keyGrindersScenario: Scenario = {
  name: 'key-grinders',
  question: 'A third makes new VRF keys in every epoch, once its beacon is known: are they chosen more often?',
  nodes: NEIGHBOUR_SIZES,
  parameters: PARAMETERS,
  thresholds: [
    { ...P_BOUNDS, measure: 'pBefore', meaning: 'chi-square against the hypergeometric before they begin' },
    {
      measure: 'meanWhileGrinding',
      rule: 'at-most',
      bound: 0.01,
      meaning: 'of them among the eight neighbours of a node: a new key is too young',
    },
    {
      ...P_BOUNDS,
      measure: 'pAfter',
      meaning: 'chi-square when they have kept their keys for four epochs: chance again',
    },
  ],
  run: runGrinders,
};

async function runGrinders(run: RunOptions): Promise<Outcome> {
  const adversaries = Math.floor(run.nodes * PARAMETERS.adversaries);
  const simulation = createSimulation(run, { label: 'key-grinders', adversaries });
  await simulation.start();
  const before = fitAdversaries(simulation, SLOTS);
  let grinders: readonly Member[] = simulation.population.members.filter(({ isHonest }) => !isHonest);
  for (let epoch = 0; epoch < PARAMETERS.epochsOfGrinding; epoch += 1) {
    run.onProgress(`new keys in epoch ${epoch + 1}`);
    grinders = grinders.map((member) => simulation.population.renewKey(member));
    for (const { facts } of grinders) simulation.table.note({ node: facts, teller: 'itself', epoch: simulation.epoch });
    for (const { facts } of grinders) simulation.table.confirm(facts, simulation.epoch);
    await simulation.advanceEpochs(1);
  }
  const during = fitAdversaries(simulation, SLOTS);
  run.onProgress('rest');
  await simulation.advanceEpochs(PARAMETERS.epochsOfRest);
  const after = fitAdversaries(simulation, SLOTS);
  return {
    measures: {
      pBefore: before.fit.p,
      pAfter: after.fit.p,
      meanWhileGrinding: during.mean,
      meanBefore: before.mean,
      meanAfter: after.mean,
      expectedMean: before.expectedMean,
    },
    charts: [chartDraw('While keys are ground', during), chartDraw('Four epochs after the last new key', after)],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}
