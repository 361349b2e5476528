import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { computeFilledShare } from '../neighbours/measure-neighbours.ts';
import type { NeighbourSimulation } from '../neighbours/neighbour-simulation.ts';
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

const PARAMETERS = { parts: 2, epochsDivided: 1, epochsHealed: 2, loss: LOSS, slots: SLOTS };

export const partitionHealScenario: Scenario = {
  name: 'partition-heal',
  question:
    'Half of the nodes cannot reach the other half for an epoch: does each half hold, and do they grow together again?',
  nodes: NEIGHBOUR_SIZES,
  parameters: PARAMETERS,
  thresholds: [
    {
      measure: 'filledDivided',
      rule: 'at-least',
      bound: 0.98,
      meaning: 'slots that lead to a node within reach while divided',
    },
    { measure: 'filledHealed', rule: 'at-least', bound: 0.99, meaning: 'the same two epochs after' },
    {
      measure: 'crossShare',
      rule: 'at-least',
      bound: 0.45,
      meaning: 'slots that lead into the other half two epochs after: half',
    },
    ...GAP_THRESHOLDS,
  ],
  run: runPartition,
};

async function runPartition(run: RunOptions): Promise<Outcome> {
  const simulation = createSimulation(run, { label: 'partition', ...PRODUCTION_CAPS });
  await simulation.start();
  const { live } = simulation;
  const middle = Math.floor(live.length / 2);
  run.onProgress('divided');
  simulation.divide([live.slice(0, middle), live.slice(middle)]);
  const crossAtOnce = computeCrossShare(simulation, middle);
  await simulation.advanceEpochs(PARAMETERS.epochsDivided);
  const filledDivided = computeFilledShare(simulation, SLOTS);
  const crossDivided = computeCrossShare(simulation, middle);
  run.onProgress('healed');
  simulation.divide([]);
  const crosses: [number, number][] = [[0, crossDivided]];
  for (let epoch = 1; epoch <= PARAMETERS.epochsHealed; epoch += 1) {
    await simulation.advanceEpochs(1);
    crosses.push([epoch, computeCrossShare(simulation, middle)]);
  }
  return {
    measures: {
      filledDivided,
      filledHealed: computeFilledShare(simulation, SLOTS),
      crossShare: computeCrossShare(simulation, middle),
      crossBefore: crossAtOnce,
      crossDivided,
      ...measureGap(simulation, run.seed),
    },
    charts: [
      {
        kind: 'lines',
        title: 'Slots that lead into the other half',
        xLabel: 'epochs since the halves reach each other again',
        yLabel: 'share of slots',
        series: [{ name: 'simulated', points: crosses }],
      },
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: listNeighbourModels(run),
  };
}

function computeCrossShare(simulation: NeighbourSimulation, middle: number): number {
  const pairs = simulation.live.flatMap((number) =>
    simulation.outboundOf(number).map((other) => [number, other] as const),
  );
  return pairs.filter(([number, other]) => number < middle !== other < middle).length / pairs.length;
}
