import { INBOUND_SLOTS, YOUNG_SHARE } from '../../network/neighbours/constants.ts';
import type { Outcome, RunOptions, Scenario } from '../interface.ts';
import { Churn } from '../model/churn.ts';
import { ChurnWatch } from '../neighbours/churn-watch.ts';
import { EPOCH_MS, type NeighbourSimulation } from '../neighbours/neighbour-simulation.ts';
import { SeededRandom } from '../random/seeded-random.ts';
import { computeMean, pickQuantile } from '../statistics/quantile.ts';
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

const PARAMETERS = {
  meanUpHours: 2,
  meanAwayHours: 0.5,
  joinsPerNodeAndHour: 0.05,
  epochs: 6,
  /** Joined so long before the end: all slots of then were chosen when they were of age. */
  joinersAgedEpochs: 4,
  settledSeconds: 300,
  sampleSeconds: 15,
  loss: LOSS,
  slots: SLOTS,
};

export const churnScenario: Scenario = {
  name: 'churn',
  question:
    'Nodes are up for two hours and away for half an hour on average, and each hour new ones join, one for twenty: do slots lead to living nodes, are lost neighbours replaced, and does nobody choose a newcomer?',
  nodes: NEIGHBOUR_SIZES,
  parameters: PARAMETERS,
  thresholds: [
    {
      measure: 'filledMean',
      rule: 'at-least',
      bound: 0.97,
      meaning: 'slots that lead to a node that is up, on average over time and over all that are up, new ones included',
    },
    { measure: 'filledLeast', rule: 'at-least', bound: 0.9, meaning: 'the same at the worst moment' },
    {
      measure: 'healP99Seconds',
      rule: 'at-most',
      bound: 300,
      meaning: 'from the loss of a neighbour until all eight are up again, p99',
    },
    {
      measure: 'lackingLong',
      rule: 'at-most',
      bound: 0.01,
      meaning: 'nodes that have waited longer than this at the end',
    },
    {
      measure: 'youngChosen',
      rule: 'at-most',
      bound: 0,
      meaning: 'slots that lead to a node that is not two epochs old',
    },
    {
      measure: 'youngInboundMost',
      rule: 'at-most',
      bound: INBOUND_SLOTS * YOUNG_SHARE,
      meaning: 'inbound slots that young ones hold at one node',
    },
    {
      measure: 'joinersRatio',
      rule: 'at-least',
      bound: 0.75,
      meaning: 'how often joiners are chosen once they are of age, against those that were always there',
    },
    { measure: 'joinersRatio', rule: 'at-most', bound: 1.25, meaning: 'the same' },
    ...GAP_THRESHOLDS,
  ],
  run: runChurn,
};

async function runChurn(run: RunOptions): Promise<Outcome> {
  const joinsPerHour = run.nodes * PARAMETERS.joinsPerNodeAndHour;
  // Twice as many as come on average: they do not run out.
  const joiners = Math.ceil(joinsPerHour * PARAMETERS.epochs * 2);
  const simulation = createSimulation(run, { label: 'churn', joiners, keepsSlots: true, ...PRODUCTION_CAPS });
  await simulation.start();
  const watch = new ChurnWatch(simulation, SLOTS);
  const churn = startChurn(simulation, watch, { run, joinsPerHour });
  for (let epoch = 1; epoch <= PARAMETERS.epochs; epoch += 1) {
    run.onProgress(`epoch ${epoch} of ${PARAMETERS.epochs}`);
    await watchEpoch(simulation, watch);
  }
  churn.stop();
  const { settledSeconds, joinersAgedEpochs } = PARAMETERS;
  const filled = watch.samples.map(([, share]) => share);
  const seconds = watch.healSeconds.toSorted((a, b) => a - b);
  const gap = measureGap(simulation, run.seed, watch.listSettled(settledSeconds * 1_000));
  return {
    measures: {
      filledMean: computeMean(filled),
      filledLeast: Math.min(...filled),
      healMedianSeconds: pickQuantile(seconds, 0.5),
      healP99Seconds: pickQuantile(seconds, 0.99),
      healed: seconds.length,
      lackingLong: watch.countLacking(HEAL_MS) / simulation.live.length,
      youngChosen: watch.youngChosen,
      youngInboundMost: Math.max(...simulation.live.map((number) => countYoungInbound(simulation, number))),
      joinersRatio: watch.compareJoiners(joinersAgedEpochs),
      ...churn.counts,
      upAtTheEnd: simulation.live.length,
      ...gap,
    },
    charts: [
      {
        kind: 'lines',
        title: 'Slots that lead to a node that is up',
        xLabel: 'hours since the churn began',
        yLabel: 'share of slots',
        series: [{ name: 'simulated', points: watch.samples.filter((_, index) => index % DRAWN_SAMPLES === 0) }],
      },
    ],
    production: NEIGHBOUR_PRODUCTION,
    models: [
      ...listNeighbourModels(run),
      'nodes leave without a word and keep what is on their disk; all know a newcomer, and it knows all, at once',
      `the spectral gap is that of the nodes that are up for at least ${settledSeconds} s`,
    ],
  };
}

/** One sample of so many is drawn. */
const DRAWN_SAMPLES = 8;

/** After which a lost neighbour should be replaced: the bound of the threshold. */
const HEAL_MS = 300_000;

function startChurn(
  simulation: NeighbourSimulation,
  watch: ChurnWatch,
  { run, joinsPerHour }: { readonly run: RunOptions; readonly joinsPerHour: number },
): Churn {
  const { meanUpHours, meanAwayHours } = PARAMETERS;
  const churn = new Churn(
    { clock: simulation.clock, random: new SeededRandom(`${run.seed}/churn`) },
    { meanUpMs: meanUpHours * HOUR_MS, meanAwayMs: meanAwayHours * HOUR_MS, joinsPerHour },
    {
      onLeave: (node) => {
        watch.noteLeave(node);
        simulation.leave(node);
      },
      onReturn: (node) => {
        simulation.comeBack(node);
        watch.noteStart(node);
      },
      onJoin: (node) => {
        simulation.join(node);
        watch.noteJoin(node);
      },
    },
  );
  churn.begin(simulation.live, simulation.joiners);
  return churn;
}

const HOUR_MS = 3_600_000;

async function watchEpoch(simulation: NeighbourSimulation, watch: ChurnWatch): Promise<void> {
  const sampleMs = PARAMETERS.sampleSeconds * 1_000;
  for (let passedMs = 0; passedMs < EPOCH_MS; passedMs += sampleMs) {
    await simulation.clock.advance(sampleMs);
    watch.sample();
  }
}

function countYoungInbound(simulation: NeighbourSimulation, number: number): number {
  const { neighbours } = simulation.core(number).status();
  return neighbours.filter(({ direction, why }) => direction === 'inbound' && why === 'genesis').length;
}
