import { FloodSimulation } from '../gossip/flood-simulation.ts';
import type { Chart, Outcome, RunOptions, Scenario } from '../interface.ts';
import { SeededRandom } from '../random/seeded-random.ts';
import { pickQuantile } from '../statistics/quantile.ts';

const PARAMETERS = {
  adversaries: 1 / 3,
  meshDegree: 8,
  seconds: 6,
  honestMessages: 60,
  loss: 0.01,
  floodPerSecond: 50,
};

export const floodScenario: Scenario = {
  name: 'flood',
  question:
    'A third of the mesh floods its neighbours with announcements and garbage and passes nothing on: do honest ones arrive?',
  nodes: { usual: 60, least: 30, most: 1_000 },
  parameters: PARAMETERS,
  thresholds: [
    {
      measure: 'deliveredShare',
      rule: 'at-least',
      bound: 0.99,
      meaning: 'honest announcements that honest nodes hear',
    },
    { measure: 'latencyRatioP99', rule: 'at-most', bound: 2, meaning: 'p99 of their time, flooded against quiet' },
    {
      measure: 'cutShare',
      rule: 'at-least',
      bound: 0.99,
      meaning: 'links to flooders that are cut for their penalties',
    },
    {
      measure: 'acceptedPerFlooder',
      rule: 'at-most',
      bound: 6,
      meaning: 'flooded messages a node accepts a second and flooder',
    },
  ],
  run: runFlood,
};

async function runFlood({ seed, nodes, onProgress }: RunOptions): Promise<Outcome> {
  const results = [];
  for (const floodPerSecond of [0, PARAMETERS.floodPerSecond]) {
    onProgress(floodPerSecond === 0 ? 'quiet' : 'flooded');
    // One seed for both: the same mesh, the same honest announcements.
    const simulation = new FloodSimulation(new SeededRandom(seed), { ...PARAMETERS, nodes, floodPerSecond });
    results.push(await simulation.run());
  }
  const [quiet, flooded] = results as [Awaited<ReturnType<FloodSimulation['run']>>, (typeof results)[number]];
  return {
    measures: {
      deliveredShare: flooded.deliveredShare,
      quietDeliveredShare: quiet.deliveredShare,
      latencyP50Ms: pickQuantile(flooded.latenciesMs, 0.5),
      latencyP99Ms: pickQuantile(flooded.latenciesMs, 0.99),
      latencyRatioP99: pickQuantile(flooded.latenciesMs, 0.99) / pickQuantile(quiet.latenciesMs, 0.99),
      cutShare: flooded.cutShare,
      acceptedPerFlooder: flooded.acceptedPerFlooder,
      busiestShareOfACore: flooded.busiestShare,
    },
    charts: [drawLatencies(quiet.latenciesMs, flooded.latenciesMs)],
    production: [
      'src/network/gossip/announcement-gossip.ts (rates, limits, signatures, rules)',
      'src/network/peers/peer-penalties.ts (penalties, bans)',
      'src/proofs/signed-object.ts (real Ed25519 signatures)',
    ],
    models: [
      'the mesh: a random regular graph, forwarding and message ids as in gossipsub, no libp2p',
      'what judging a message costs its receiver',
      'latency by region, loss',
    ],
  };
}

function drawLatencies(quiet: readonly number[], flooded: readonly number[]): Chart {
  const trace = (sorted: readonly number[]): (readonly [number, number])[] =>
    Array.from({ length: 100 }, (_, percent) => [percent, pickQuantile(sorted, percent / 100)] as const);
  return {
    kind: 'lines',
    title: 'From publishing to acceptance, honest announcements',
    xLabel: 'percentile',
    yLabel: 'ms',
    series: [
      { name: 'quiet', points: trace(quiet) },
      { name: 'flooded', points: trace(flooded) },
    ],
  };
}
