import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { computeFilledShare, fitAdversaries } from '../neighbours/measure-neighbours.ts';
import { computeShare } from '../statistics/quantile.ts';
import {
  createSimulation,
  LOSS,
  listNeighbourModels,
  NEIGHBOUR_PRODUCTION,
  NEIGHBOUR_SIZES,
  P_BOUNDS,
  SLOTS,
} from './neighbour-parts.ts';

/**
 * A node's estimate is the median of its own and of what its eight neighbours say. By chance alone five or more of eight are
 * liars for 8.8 % of the nodes (hypergeometric, a third), so that no more than 0.91 can be expected; 0.85 leaves room for the
 * epoch that an estimate needs to come back.
 */
const WITHIN_TWO = 0.85;
const PARAMETERS = { adversaries: 1 / 3, inflation: 1_000, epochsOfTruth: 3, epochs: 4, loss: LOSS, slots: SLOTS };

export const sizeEstimateInflatersScenario: Scenario = {
  name: 'size-estimate-inflaters',
  question:
    'A third says that the network is a thousand times as large, to make the bound of ranks refuse honest claims, or a thousandth: who believes it?',
  nodes: NEIGHBOUR_SIZES,
  parameters: PARAMETERS,
  thresholds: [
    {
      measure: 'inflatedWithinTwo',
      rule: 'at-least',
      bound: WITHIN_TWO,
      meaning: 'honest estimates within a factor of two of the truth',
    },
    {
      measure: 'inflatedFilled',
      rule: 'at-least',
      bound: 0.99,
      meaning: 'slots of honest nodes that are filled all the same',
    },
    { ...P_BOUNDS, measure: 'inflatedP', meaning: 'chi-square of adversarial neighbours against the hypergeometric' },
    { measure: 'deflatedWithinTwo', rule: 'at-least', bound: WITHIN_TWO, meaning: 'the same of a thousandth' },
    { measure: 'deflatedFilled', rule: 'at-least', bound: 0.99, meaning: 'the same of a thousandth' },
  ],
  run: runInflaters,
};

async function runInflaters(run: RunOptions): Promise<Outcome> {
  const adversaries = Math.floor(run.nodes * PARAMETERS.adversaries);
  const measures: Record<string, number> = {};
  const estimates: { name: string; points: [number, number][] }[] = [];
  for (const [name, factor] of [
    ['inflated', PARAMETERS.inflation],
    ['deflated', 1 / PARAMETERS.inflation],
  ] as const) {
    let lie = 1;
    const simulation = createSimulation(run, { label: name, adversaries, reportedSize: (size) => size * lie });
    const worst: [number, number][] = [];
    await simulation.start();
    await simulation.advanceEpochs(PARAMETERS.epochsOfTruth);
    lie = factor;
    for (let epoch = 1; epoch <= PARAMETERS.epochs; epoch += 1) {
      await simulation.advanceEpochs(1);
      const sizes = simulation.live.map((number) => simulation.core(number).status().networkSize / run.nodes);
      worst.push([epoch, computeShare(sizes, (ratio) => ratio >= 0.5 && ratio <= 2)]);
      measures[`${name}WithinTwo`] = worst.at(-1)?.[1] ?? 0;
      measures[`${name}Farthest`] = Math.max(...sizes.map((ratio) => Math.max(ratio, 1 / ratio)));
    }
    measures[`${name}Filled`] = computeFilledShare(simulation, SLOTS);
    measures[`${name}P`] = fitAdversaries(simulation, SLOTS).fit.p;
    estimates.push({ name, points: worst });
  }
  return {
    measures,
    charts: [
      {
        kind: 'lines',
        title: 'Honest estimates within a factor of two of the truth',
        xLabel: 'epochs since the adversaries began to lie',
        yLabel: 'share of honest nodes',
        series: estimates,
      },
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}
