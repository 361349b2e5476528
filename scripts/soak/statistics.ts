/** A figure at a time, in seconds. */
export type Point = readonly [atSeconds: number, value: number];

/** Points whose pairs are compared at most: 600 points have 180,000 pairs. */
const MAX_POINTS = 600;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/**
 * Theil-Sen: the median of the slopes between all pairs of points, per second. Up to 29 of 100 points may be anything
 * without moving it far, so that a collection of garbage or a single peak is not taken for growth.
 */
export function estimateSlope(points: readonly Point[]): number {
  const used = thin(points);
  const slopes: number[] = [];
  for (const [index, [x, y]] of used.entries()) {
    for (const [later, value] of used.slice(index + 1)) {
      if (later !== x) slopes.push((value - y) / (later - x));
    }
  }
  return slopes.length === 0 ? 0 : median(slopes);
}

function thin(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / MAX_POINTS);
  return every <= 1 ? points : points.filter((_, index) => index % every === 0);
}

/** Medians of the first and the last third of the points. */
export function compareThirds(points: readonly Point[]): { readonly first: number; readonly last: number } {
  const third = Math.max(1, Math.floor(points.length / 3));
  const values = points.map(([, value]) => value);
  return { first: median(values.slice(0, third)), last: median(values.slice(-third)) };
}
