import { describe, expect, it } from 'vitest';
import { SimulationError } from '../../../src/sim/errors.ts';
import {
  computeMeanDegree,
  createGraph,
  degreeOf,
  type Graph,
  listComponents,
  restrictGraph,
} from '../../../src/sim/graph/graph.ts';
import { createRandomRegular } from '../../../src/sim/graph/random-regular.ts';
import { computeSpectralGap } from '../../../src/sim/graph/spectral-gap.ts';
import { SeededRandom } from '../../../src/sim/random/seeded-random.ts';

const random = new SeededRandom('graph');

function createCycle(vertices: number): Graph {
  return createGraph(
    vertices,
    Array.from({ length: vertices }, (_, index) => [index, (index + 1) % vertices] as const),
  );
}

function createPetersen(): Graph {
  const pairs: [number, number][] = [];
  for (let index = 0; index < 5; index += 1) {
    pairs.push([index, (index + 1) % 5], [index, index + 5], [index + 5, ((index + 2) % 5) + 5]);
  }
  return createGraph(10, pairs);
}

describe('graph', () => {
  it('counts a pair once, and no loops', () => {
    const graph = createGraph(3, [
      [0, 1],
      [1, 0],
      [2, 2],
    ]);
    expect([0, 1, 2].map((vertex) => degreeOf(graph, vertex))).toEqual([1, 1, 0]);
    expect(listComponents(graph)).toEqual([2, 1]);
    expect(computeMeanDegree(graph)).toBeCloseTo(2 / 3);
  });

  it('keeps what some vertices span', () => {
    const part = restrictGraph(createCycle(6), [0, 1, 2, 4]);
    expect(listComponents(part)).toEqual([3, 1]);
  });
});

describe('spectral gap', () => {
  it('of the complete graph is n / (n - 1)', () => {
    const pairs = Array.from({ length: 100 }, (_, index) => [Math.floor(index / 10), index % 10] as const);
    expect(computeSpectralGap(createGraph(10, pairs), random)).toBeCloseTo(10 / 9, 9);
  });

  it.each([5, 12, 40])('of the cycle of %d is 1 - cos(2π / n)', (vertices) => {
    expect(computeSpectralGap(createCycle(vertices), random)).toBeCloseTo(1 - Math.cos((2 * Math.PI) / vertices), 9);
  });

  it("of Petersen's graph is 2/3", () => {
    expect(computeSpectralGap(createPetersen(), random)).toBeCloseTo(2 / 3, 9);
  });

  it('of two parts is nothing', () => {
    const two = createGraph(6, [
      [0, 1],
      [1, 2],
      [2, 0],
      [3, 4],
      [4, 5],
      [5, 3],
    ]);
    expect(computeSpectralGap(two, random)).toBeCloseTo(0, 9);
  });
});

describe('random regular graph', () => {
  it("has its degree everywhere, and the gap of Friedman's theorem", () => {
    const graph = createRandomRegular(random, { vertices: 600, degree: 8 });
    expect(Array.from({ length: 600 }, (_, vertex) => degreeOf(graph, vertex))).toEqual(new Array(600).fill(8));
    expect(listComponents(graph)).toEqual([600]);
    const expected = 1 - (2 * Math.sqrt(7)) / 8;
    expect(Math.abs(computeSpectralGap(graph, random) / expected - 1)).toBeLessThan(0.05);
  });

  it('is refused where there is none', () => {
    expect(() => createRandomRegular(random, { vertices: 5, degree: 3 })).toThrow(SimulationError);
    expect(() => createRandomRegular(random, { vertices: 4, degree: 4 })).toThrow(SimulationError);
  });
});
