/**
 * How many nodes there are, from how densely their keys lie. The distances of N keys to a target are uniform on
 * [0, 2^256), and the K-th smallest, d_K, is a Beta(K, N + 1 − K) share of it: E[1 / d_K] = N / (K − 1) / 2^256. So
 * (K − 1) · 2^256 / d_K is unbiased, with a relative standard error of about 1 / √(K − 2).
 */
const DISTANCE_BYTES = 32;
/** Fewer known keys have no density: their number is all that is known. */
const FEWEST_DISTANCES = 2;
/** Of a distance of 1, the smallest there is. */
const SMALLEST_SHARE = 2 ** -256;
/** An estimate moves at most by this factor an epoch. */
const LARGEST_STEP = 2;

export interface Density {
  /** Of the K known keys that are closest to a target, in any order: 32 bytes each, big-endian; not of the target itself. */
  readonly distances: readonly Uint8Array[];
}

/** @throws RangeError unless each distance has 32 bytes */
export function estimateFromDistances({ distances }: Density): number {
  if (distances.length < FEWEST_DISTANCES) return distances.length;
  const shares = distances.map(readShare);
  return (distances.length - 1) / Math.max(...shares, SMALLEST_SHARE);
}

/** The distance as a share of the whole, 0 to 1; 53 bits of it. */
function readShare(distance: Uint8Array): number {
  if (distance.length !== DISTANCE_BYTES) throw new RangeError('a distance has 32 bytes');
  let share = 0;
  for (let index = DISTANCE_BYTES - 1; index >= 0; index--) share = (share + (distance[index] ?? 0)) / 256;
  return share;
}

export interface Estimates {
  readonly own: number;
  /** Of neighbours, one each; any number that a peer can send. */
  readonly reported: readonly number[];
  /** What held in the last epoch; null if nothing did. */
  readonly previous: number | null;
}

/** The median of own and reported, at most twice and at least half of the previous. */
export function combineEstimates({ own, reported, previous }: Estimates): number {
  const usable = reported.filter((size) => Number.isFinite(size) && size > 0);
  const median = computeMedian([own, ...usable], own);
  return previous === null ? median : clamp(median, previous / LARGEST_STEP, previous * LARGEST_STEP);
}

/** Of an even number of values every number between the middle two is a median: the one nearest to `own` is taken. */
function computeMedian(values: readonly number[], own: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? own;
  const upper = sorted[Math.floor(sorted.length / 2)] ?? own;
  return clamp(own, lower, upper);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
