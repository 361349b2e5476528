import type { SeededRandom } from '../random/seeded-random.ts';
import { degreeOf, type Graph, neighboursOf } from './graph.ts';

/** Steps of Lanczos's iteration; its largest value has settled to 10^-4 long before on graphs of 10,000 vertices. */
const LANCZOS_STEPS = 80;
const BISECTIONS = 60;
const VANISHED = 1e-10;

/**
 * 1 - λ2 of the random walk on a connected graph: the second largest eigenvalue of D^-1/2 A D^-1/2, by Lanczos's iteration
 * with full reorthogonalisation, the known first eigenvector D^1/2·1 projected out (Golub and Van Loan, section 10.1).
 */
export function computeSpectralGap(graph: Graph, random: SeededRandom): number {
  const degrees = Float64Array.from({ length: graph.vertices }, (_, vertex) => degreeOf(graph, vertex));
  const scale = degrees.map((degree) => (degree === 0 ? 0 : degree ** -0.5));
  const first = normalise(degrees.map(Math.sqrt));
  const basis: Float64Array[] = [first];
  const diagonal: number[] = [];
  const beside: number[] = [];
  let vector = Float64Array.from({ length: graph.vertices }, () => random.uniform() - 0.5);
  for (let step = 0; step < LANCZOS_STEPS; step += 1) {
    removeParts(vector, basis);
    const length = Math.sqrt(dot(vector, vector));
    if (length < VANISHED) break;
    if (step > 0) beside.push(length);
    const unit = vector.map((value) => value / length);
    basis.push(unit);
    vector = applyWalk(graph, scale, unit);
    diagonal.push(dot(vector, unit));
  }
  return 1 - findLargestEigenvalue(diagonal, beside);
}

function applyWalk(graph: Graph, scale: Float64Array, vector: Float64Array): Float64Array<ArrayBuffer> {
  const result = new Float64Array(graph.vertices);
  for (let vertex = 0; vertex < graph.vertices; vertex += 1) {
    let sum = 0;
    for (const target of neighboursOf(graph, vertex)) sum += (scale[target] ?? 0) * (vector[target] ?? 0);
    result[vertex] = sum * (scale[vertex] ?? 0);
  }
  return result;
}

function removeParts(vector: Float64Array, basis: readonly Float64Array[]): void {
  // Twice is enough (Parlett, section 6.9).
  for (let pass = 0; pass < 2; pass += 1) {
    for (const direction of basis) {
      const part = dot(vector, direction);
      for (let index = 0; index < vector.length; index += 1) {
        vector[index] = (vector[index] ?? 0) - part * (direction[index] ?? 0);
      }
    }
  }
}

/** Of a symmetric tridiagonal matrix with eigenvalues in [-1, 1], by Sturm's sequence and bisection. */
function findLargestEigenvalue(diagonal: readonly number[], beside: readonly number[]): number {
  let low = -1.001;
  let high = 1.001;
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2;
    if (countBelow(diagonal, beside, middle) === diagonal.length) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

/** How many eigenvalues are below `bound`: negative pivots of T - bound·I. */
function countBelow(diagonal: readonly number[], beside: readonly number[], bound: number): number {
  let count = 0;
  let pivot = 1;
  for (const [index, value] of diagonal.entries()) {
    const link = index === 0 ? 0 : (beside[index - 1] ?? 0);
    pivot = value - bound - (link * link) / pivot;
    if (pivot === 0) pivot = VANISHED ** 2;
    if (pivot < 0) count += 1;
  }
  return count;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += (a[index] ?? 0) * (b[index] ?? 0);
  return sum;
}

function normalise(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / length);
}
