import { computeMeanDegree, type Graph, listComponents, restrictGraph } from '../graph/graph.ts';
import { createRandomRegular } from '../graph/random-regular.ts';
import { computeSpectralGap } from '../graph/spectral-gap.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { type GoodnessOfFit, testGoodnessOfFit } from '../statistics/goodness-of-fit.ts';
import { listHypergeometric } from '../statistics/hypergeometric.ts';
import { computeMean } from '../statistics/quantile.ts';
import type { NeighbourSimulation } from './neighbour-simulation.ts';

/** Random regular graphs that the gap is compared with. */
const COMPARED_GRAPHS = 3;

export interface GapComparison {
  readonly gap: number;
  readonly regularGap: number;
  readonly degree: number;
  /** Share of the vertices in the largest connected part. */
  readonly connectedShare: number;
}

/** The spectral gap of a part of a graph against that of random regular graphs of the same (mean) degree. */
export function compareGap(graph: Graph, kept: readonly number[], random: SeededRandom): GapComparison {
  const part = restrictGraph(graph, kept);
  const connectedShare = (listComponents(part)[0] ?? 0) / part.vertices;
  const vertices = part.vertices - (part.vertices % 2);
  const degree = Math.round(computeMeanDegree(part));
  const gaps = Array.from({ length: COMPARED_GRAPHS }, () =>
    computeSpectralGap(createRandomRegular(random, { vertices, degree }), random),
  );
  return { gap: computeSpectralGap(part, random), regularGap: computeMean(gaps), degree, connectedShare };
}

export interface AdversaryDraw {
  readonly fit: GoodnessOfFit;
  /** Honest nodes by how many of their neighbours are adversaries. */
  readonly counts: readonly number[];
  readonly chances: readonly number[];
  readonly mean: number;
  readonly expectedMean: number;
}

/** Adversaries among the neighbours that honest nodes chose, against draws without putting back. */
export function fitAdversaries(simulation: NeighbourSimulation, slots: number): AdversaryDraw {
  const { members } = simulation.population;
  const marked = members.filter(({ isHonest }) => !isHonest).length;
  const chances = listHypergeometric({ population: members.length - 1, marked, draws: slots });
  const counts = chances.map(() => 0);
  const perNode: number[] = [];
  for (const number of simulation.live) {
    const adversaries = simulation.outboundOf(number).filter((other) => members[other]?.isHonest === false).length;
    counts[adversaries] = (counts[adversaries] ?? 0) + 1;
    perNode.push(adversaries);
  }
  return {
    fit: testGoodnessOfFit(counts, chances),
    counts,
    chances,
    mean: computeMean(perNode),
    expectedMean: (slots * marked) / (members.length - 1),
  };
}

/** Share of the slots of honest nodes that are up that lead to a node that is up and within reach. */
export function computeFilledShare(simulation: NeighbourSimulation, slots: number): number {
  const { live, network } = simulation;
  const good = live.map(
    (number) => simulation.outboundOf(number).filter((other) => network.canReach(number, other)).length,
  );
  return computeMean(good) / slots;
}
