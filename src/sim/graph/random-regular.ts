import { SimulationError } from '../errors.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { createGraph, type Graph } from './graph.ts';

type Edge = [number, number];

const MOST_PASSES = 1_000;

/**
 * A random regular graph: stubs paired at random (Bollobás 1980), then loops and repeated edges switched with random
 * others (McKay and Wormald 1990). Close to uniform, which is enough for a spectral gap.
 */
export function createRandomRegular(random: SeededRandom, options: { vertices: number; degree: number }): Graph {
  const { vertices, degree } = options;
  if (degree >= vertices || (degree * vertices) % 2 !== 0)
    throw new SimulationError({ code: 'SIM_NO_GRAPH', ...options });
  const stubs = random.shuffle(Array.from({ length: vertices * degree }, (_, index) => Math.floor(index / degree)));
  const edges: Edge[] = [];
  for (let index = 0; index < stubs.length; index += 2)
    edges.push([stubs[index] as number, stubs[index + 1] as number]);
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    const bad = listBadEdges(edges, vertices);
    if (bad.length === 0) return createGraph(vertices, edges);
    for (const place of bad) switchEnds(edges, place, random.below(edges.length));
  }
  throw new SimulationError({ code: 'SIM_NO_GRAPH', ...options });
}

function listBadEdges(edges: readonly Edge[], vertices: number): number[] {
  const seen = new Set<number>();
  const bad: number[] = [];
  for (const [place, [a, b]] of edges.entries()) {
    const key = Math.min(a, b) * vertices + Math.max(a, b);
    if (a === b || seen.has(key)) bad.push(place);
    seen.add(key);
  }
  return bad;
}

function switchEnds(edges: Edge[], place: number, other: number): void {
  const [a, b] = edges[place] as Edge;
  const [c, d] = edges[other] as Edge;
  edges[place] = [a, d];
  edges[other] = [c, b];
}
