import { NEIGHBOUR_SLOTS } from '../../network/neighbours/constants.ts';
import { NO_CAPS } from '../../network/neighbours/options.ts';
import { PRESETS } from '../../network/options.ts';
import type { Chart, RunOptions, Threshold } from '../interface.ts';
import { type AdversaryDraw, compareGap } from '../neighbours/measure-neighbours.ts';
import { NeighbourSimulation, type NeighbourSimulationOptions } from '../neighbours/neighbour-simulation.ts';
import { SeededRandom } from '../random/seeded-random.ts';

/** What scenarios about neighbours have in common. */

export const SLOTS = NEIGHBOUR_SLOTS;
export const LOSS = 0.01;
/** As the preset for the Internet has it. */
export const PRODUCTION_CAPS = {
  caps: { ...NO_CAPS, address: PRESETS.production.neighboursPerGroup },
  maxPerGroup: PRESETS.production.candidatesPerGroup,
} as const;
export const NEIGHBOUR_SIZES = { usual: 1_000, least: 100, most: 10_000 } as const;

export const NEIGHBOUR_PRODUCTION = [
  'src/vrf/selection.ts (ranks, choice, bound, age)',
  'src/network/neighbours/ (epochs, keeper, claims and their checks, inbound slots, healing, size estimate, table)',
  'src/beacon/computed-beacon.ts (fixed seed)',
] as const;

export function listNeighbourModels({ vrf }: Pick<RunOptions, 'vrf'>): readonly string[] {
  return [
    vrf === 'ideal' ? 'an ideal VRF: a hash with a secret that the verifier looks up' : 'the VRF is real (ECVRF)',
    'node records are known by a number, not signed; they do not expire',
    'one table of candidates for all honest nodes: everybody knows everybody',
    'adversaries choose nobody, take every claim, and answer as the scenario says',
    'connections, requests, latency by region, loss: no libp2p',
  ];
}

export function createSimulation(
  run: RunOptions,
  changes: Partial<NeighbourSimulationOptions> & { readonly label: string },
): NeighbourSimulation {
  const { label, ...options } = changes;
  run.onProgress(label);
  return new NeighbourSimulation(new SeededRandom(`${run.seed}/${label}`), {
    nodes: run.nodes,
    adversaries: 0,
    adversaryGroups: null,
    caps: NO_CAPS,
    maxPerGroup: Number.POSITIVE_INFINITY,
    loss: LOSS,
    vrf: run.vrf,
    reportedSize: (size) => size,
    ...options,
  });
}

export const GAP_THRESHOLDS: readonly Threshold[] = [
  { measure: 'connectedShare', rule: 'at-least', bound: 1, meaning: 'honest nodes in one connected part' },
  {
    measure: 'gapRatio',
    rule: 'at-least',
    bound: 0.9,
    meaning: "spectral gap of the honest nodes' graph against random regular graphs of its mean degree",
  },
];

export function measureGap(simulation: NeighbourSimulation, seed: string, kept = simulation.live) {
  const { gap, regularGap, degree, connectedShare } = compareGap(
    simulation.drawGraph(),
    kept,
    new SeededRandom(`${seed}/gap`),
  );
  return { connectedShare, gapRatio: gap / regularGap, spectralGap: gap, regularGap, meanDegree: degree };
}

export function chartDraw(title: string, { counts, chances }: Pick<AdversaryDraw, 'counts' | 'chances'>): Chart {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    kind: 'bars',
    title,
    xLabel: 'adversaries among the neighbours that a node chose',
    yLabel: 'share of honest nodes',
    series: [
      { name: 'simulated', points: counts.map((count, index) => [index, count / total] as const) },
      { name: 'hypergeometric', points: chances.map((chance, index) => [index, chance] as const) },
    ],
  };
}

/** A chance that comes true once in a hundred runs is a threshold for one seed only. */
export const P_BOUNDS = { rule: 'at-least', bound: 0.01, freshBound: 0.0001 } as const;
