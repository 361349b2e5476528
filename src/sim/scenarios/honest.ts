import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { computeFilledShare } from '../neighbours/measure-neighbours.ts';
import { computeMean } from '../statistics/quantile.ts';
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

const PARAMETERS = { adversaries: 0, epochs: 2, loss: LOSS, slots: SLOTS };

export const honestScenario: Scenario = {
  name: 'honest',
  question: 'Everybody follows the protocol: is the graph of neighbours one, well knit, and half new each epoch?',
  nodes: NEIGHBOUR_SIZES,
  parameters: PARAMETERS,
  thresholds: [
    { measure: 'filledShare', rule: 'at-least', bound: 0.99, meaning: 'slots that lead to a node within reach' },
    {
      measure: 'keptShare',
      rule: 'at-least',
      bound: 0.45,
      meaning: 'slots that stay from one epoch to the next: half',
    },
    { measure: 'keptShare', rule: 'at-most', bound: 0.55, meaning: 'slots that stay from one epoch to the next: half' },
    { measure: 'inboundMost', rule: 'at-most', bound: 32, meaning: 'inbound slots of the node with most of them' },
    ...GAP_THRESHOLDS,
  ],
  run: runHonest,
};

async function runHonest(run: RunOptions): Promise<Outcome> {
  const simulation = createSimulation(run, { label: 'honest', ...PRODUCTION_CAPS });
  await simulation.start();
  const filledAtStart = computeFilledShare(simulation, SLOTS);
  const before = simulation.live.map((number) => new Set(simulation.outboundOf(number)));
  run.onProgress('next epoch');
  await simulation.advanceEpochs(1);
  const kept = simulation.live.map(
    (number) => simulation.outboundOf(number).filter((other) => before[number]?.has(other) === true).length / SLOTS,
  );
  const inbound = simulation.live.map((number) => simulation.core(number).status().inbound);
  const counts = Array.from({ length: Math.max(...inbound) + 1 }, () => 0);
  for (const count of inbound) counts[count] = (counts[count] ?? 0) + 1;
  return {
    measures: {
      filledShare: computeFilledShare(simulation, SLOTS),
      filledAtStart,
      keptShare: computeMean(kept),
      inboundMost: Math.max(...inbound),
      ...measureGap(simulation, run.seed),
    },
    charts: [
      {
        kind: 'bars',
        title: 'Inbound neighbours',
        xLabel: 'peers that chose a node',
        yLabel: 'share of nodes',
        series: [{ name: 'simulated', points: counts.map((count, index) => [index, count / inbound.length] as const) }],
      },
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}
