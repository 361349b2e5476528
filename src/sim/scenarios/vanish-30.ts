import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { computeFilledShare } from '../neighbours/measure-neighbours.ts';
import { EPOCH_MS } from '../neighbours/neighbour-simulation.ts';
import { SeededRandom } from '../random/seeded-random.ts';
import {
  createSimulation,
  GAP_THRESHOLDS,
  LOSS,
  listNeighbourModels,
  measureGap,
  NEIGHBOUR_PRODUCTION,
  NEIGHBOUR_SIZES,
  PRODUCTION_CAPS,
  SLOTS,
} from './neighbour-parts.ts';

const PARAMETERS = { vanishing: 0.3, loss: LOSS, slots: SLOTS, sampleSeconds: 15, watchedSeconds: 600 };
const HEALED = 0.99;

export const vanish30Scenario: Scenario = {
  name: 'vanish-30',
  question: 'Three nodes of ten are gone at once, without a word: how soon do the others have their neighbours again?',
  nodes: { ...NEIGHBOUR_SIZES, usual: 10_000 },
  parameters: PARAMETERS,
  thresholds: [
    {
      measure: 'epochsToHeal',
      rule: 'at-most',
      bound: 2,
      meaning: 'until 99 % of the slots lead to a node that is up',
    },
    { measure: 'filledAfterTwoEpochs', rule: 'at-least', bound: 0.99, meaning: 'slots that lead to a node that is up' },
    ...GAP_THRESHOLDS,
  ],
  run: runVanish,
};

async function runVanish(run: RunOptions): Promise<Outcome> {
  const simulation = createSimulation(run, { label: 'vanish-30', ...PRODUCTION_CAPS });
  await simulation.start();
  const random = new SeededRandom(`${run.seed}/vanishing`);
  const gone = random.sample(simulation.live, Math.floor(run.nodes * PARAMETERS.vanishing));
  run.onProgress('vanishing');
  simulation.vanish(gone);
  const samples: [number, number][] = [[0, computeFilledShare(simulation, SLOTS)]];
  for (let seconds = 0; seconds < PARAMETERS.watchedSeconds; seconds += PARAMETERS.sampleSeconds) {
    await simulation.clock.advance(PARAMETERS.sampleSeconds * 1_000);
    samples.push([seconds + PARAMETERS.sampleSeconds, computeFilledShare(simulation, SLOTS)]);
  }
  const healedSeconds = samples.find(([, share]) => share >= HEALED)?.[0] ?? Number.POSITIVE_INFINITY;
  for (const epoch of ['first', 'second']) {
    run.onProgress(`the ${epoch} epoch after`);
    await simulation.advanceEpochs(1);
  }
  return {
    measures: {
      epochsToHeal: (healedSeconds * 1_000) / EPOCH_MS,
      secondsToHeal: healedSeconds,
      filledAtOnce: samples[0]?.[1] ?? 0,
      filledAfterTwoEpochs: computeFilledShare(simulation, SLOTS),
      ...measureGap(simulation, run.seed),
    },
    charts: [
      {
        kind: 'lines',
        title: 'Slots that lead to a node that is up',
        xLabel: 'seconds since three of ten vanished',
        yLabel: 'share of slots',
        series: [{ name: 'simulated', points: samples }],
      },
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}
