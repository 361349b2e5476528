import type { Figure, Sample } from './sample.ts';
import { compareThirds, estimateSlope, median, type Point } from './statistics.ts';

/** What a figure may do; by the undisturbed daemons, since the others begin anew. */
export interface Bound {
  readonly figure: Figure;
  /** For people, with its unit. */
  readonly title: string;
  readonly unit: 'MiB' | 'ms' | '';
  /** The median of the last third may be above that of the first by this share, and this much besides. */
  readonly growth?: { readonly share: number; readonly allowance: number };
  /** Per minute, in the figure's unit, by the robust slope. */
  readonly slopePerMinute?: number;
  /** Of all samples after the warm-up. */
  readonly medianAtMost?: number;
}

/**
 * Memory: V8 lets the old generation grow by half before it collects, and a requester keeps an index of its jobs; a leak of
 * 1 KiB a job is above these at the rates of a soak. Descriptors and threads do not depend on how long a daemon ran.
 */
export const BOUNDS: readonly Bound[] = [
  {
    figure: 'rssBytes',
    title: 'resident memory',
    unit: 'MiB',
    growth: { share: 0.25, allowance: 32 },
    slopePerMinute: 8,
  },
  { figure: 'heapBytes', title: 'heap in use', unit: 'MiB', growth: { share: 0.5, allowance: 32 }, slopePerMinute: 8 },
  { figure: 'descriptors', title: 'open descriptors', unit: '', growth: { share: 0, allowance: 24 } },
  { figure: 'threads', title: 'threads', unit: '', growth: { share: 0, allowance: 2 } },
  { figure: 'children', title: 'child processes', unit: '', growth: { share: 0, allowance: 2 } },
  { figure: 'loopDelayP99Ms', title: 'event-loop delay, p99 of each second', unit: 'ms', medianAtMost: 100 },
];

/** Samples of the beginning are left out: caches fill, code is compiled. */
export const WARM_UP_SHARE = 0.2;

export interface Judgement {
  readonly node: string;
  readonly title: string;
  readonly unit: string;
  readonly first: number;
  readonly last: number;
  readonly slopePerMinute: number;
  readonly highest: number;
  /** Empty if it keeps to its bounds. */
  readonly problems: readonly string[];
}

const MEBIBYTE = 2 ** 20;

/** One figure of one daemon that ran all the time. */
export function judgeFigure(samples: readonly Sample[], node: string, bound: Bound): Judgement {
  const scale = bound.unit === 'MiB' ? MEBIBYTE : 1;
  const own = samples.filter((sample) => sample.node === node);
  const points: readonly Point[] = own
    .slice(Math.floor(own.length * WARM_UP_SHARE))
    .map((sample) => [sample.atSeconds, sample[bound.figure] / scale]);
  const { title, unit } = bound;
  if (points.length < 3 || points.some(([, value]) => Number.isNaN(value))) {
    const problems = [`${title} of ${node} could not be measured`];
    return { node, title, unit, first: 0, last: 0, slopePerMinute: 0, highest: 0, problems };
  }
  const { first, last } = compareThirds(points);
  const slopePerMinute = estimateSlope(points) * 60;
  const highest = Math.max(...points.map(([, value]) => value));
  const found = { first, last, slopePerMinute, middle: median(points.map(([, value]) => value)) };
  return { node, title, unit, first, last, slopePerMinute, highest, problems: listProblems(node, bound, found) };
}

function listProblems(
  node: string,
  { title, unit, growth, slopePerMinute, medianAtMost }: Bound,
  found: {
    readonly first: number;
    readonly last: number;
    readonly slopePerMinute: number;
    readonly middle: number;
  },
): readonly string[] {
  const problems: string[] = [];
  const amount = (value: number): string => `${value.toFixed(1)}${unit === '' ? '' : ` ${unit}`}`;
  const limit = growth === undefined ? Number.POSITIVE_INFINITY : found.first * (1 + growth.share) + growth.allowance;
  if (found.last > limit) {
    problems.push(
      `${title} of ${node} went from ${amount(found.first)} to ${amount(found.last)}, at most ${amount(limit)}`,
    );
  }
  if (slopePerMinute !== undefined && found.slopePerMinute > slopePerMinute) {
    problems.push(`${title} of ${node} grows by ${amount(found.slopePerMinute)} a minute, at most ${slopePerMinute}`);
  }
  if (medianAtMost !== undefined && found.middle > medianAtMost) {
    problems.push(`${title} of ${node} is ${amount(found.middle)} in the middle, at most ${medianAtMost}`);
  }
  return problems;
}

/** More descriptors than this above those of a daemon at rest before the load are a leak. */
const DESCRIPTORS_AFTER_REST = 12;

/** Before the load and after it, both at rest. */
export function judgeRest(before: readonly Sample[], after: readonly Sample[]): readonly string[] {
  return after.flatMap((sample) => {
    const base = before.find(({ node }) => node === sample.node);
    if (base === undefined) return [`${sample.node} was not measured before the load`];
    const problems: string[] = [];
    if (sample.descriptors > base.descriptors + DESCRIPTORS_AFTER_REST) {
      problems.push(
        `${sample.node} has ${sample.descriptors} descriptors at rest, ${base.descriptors} before the load`,
      );
    }
    if (sample.children > base.children + 2) {
      problems.push(`${sample.node} has ${sample.children} children at rest, ${base.children} before the load`);
    }
    return problems;
  });
}
