import { OPEN_BLOB_FILES } from '../../src/blob/constants.ts';
import { OPEN_PACKS } from '../../src/blob/snapshots/constants.ts';
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
 * Files that stores keep open beyond their use, by folder of the data folder, and how many at most; LevelDB maps its tables
 * and keeps its log, its manifest and its lock open.
 */
export const OPEN_FILE_BOUNDS: Readonly<Record<string, number>> = {
  blobs: OPEN_BLOB_FILES + 8,
  snapshots: OPEN_PACKS + 8,
  db: 32,
};

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
  { figure: 'descriptors', title: 'sockets, pipes and the like', unit: '', growth: { share: 0, allowance: 24 } },
  { figure: 'threads', title: 'threads', unit: '', growth: { share: 0, allowance: 2 } },
  { figure: 'children', title: 'child processes', unit: '', growth: { share: 0, allowance: 2 } },
  { figure: 'loopDelayP99Ms', title: 'event-loop delay, p99 of each second', unit: 'ms', medianAtMost: 100 },
];

/**
 * Of twenty daemons with a light load and many peers that come and go: what grows with peers met or with time is a leak.
 * The heap of a daemon that stores 20 jobs a minute grows by its index of them, some 50 KiB a minute.
 */
const CHURN_BOUNDS: readonly Bound[] = BOUNDS.map((bound) =>
  bound.figure === 'rssBytes' || bound.figure === 'heapBytes' ? { ...bound, slopePerMinute: 1 } : bound,
);

/** Shorter runs than this are still warming up, s. */
const SLOPES_MEAN_LEAKS_FROM_S = 1_200;

/**
 * In its first minutes a daemon of such a network compiles what it runs and fills its caches: 6 to 22 MiB of memory a minute
 * were seen, 2 to 12 of them heap. A short run can only find what leaks faster.
 */
const SHORT_CHURN_BOUNDS: readonly Bound[] = BOUNDS.map((bound) => {
  if (bound.figure === 'rssBytes') return { ...bound, slopePerMinute: 40 };
  // With little work a provider may have had none in the first of its minutes, and later one for each of its two slots: each is
  // a child in bubblewrap, which are two processes.
  if (bound.figure === 'children') return { ...bound, growth: { share: 0, allowance: 4 } };
  return bound.figure === 'heapBytes' ? { ...bound, slopePerMinute: 25 } : bound;
});

/** For a run of so many seconds under load. */
export const churnBoundsFor = (seconds: number): readonly Bound[] =>
  seconds < SLOPES_MEAN_LEAKS_FROM_S ? SHORT_CHURN_BOUNDS : CHURN_BOUNDS;

/** Samples of the beginning are left out: caches fill, code is compiled. A fifth of them, and this long at least, s. */
const WARM_UP = { share: 0.2, leastSeconds: 60 } as const;
/** Growth over a shorter time than this says nothing, s: the heap goes up and down with each collection. Three minutes have it. */
const LEAST_SECONDS = 100;

export interface Judgement {
  readonly node: string;
  readonly title: string;
  readonly unit: string;
  readonly first: number;
  readonly last: number;
  readonly slopePerMinute: number;
  readonly highest: number;
  /** False where there were too few samples after the warm-up. */
  readonly isJudged: boolean;
  /** Empty if it keeps to its bounds. */
  readonly problems: readonly string[];
}

const MEBIBYTE = 2 ** 20;

/** One figure of one daemon that ran all the time. */
export function judgeFigure(samples: readonly Sample[], node: string, bound: Bound): Judgement {
  const scale = bound.unit === 'MiB' ? MEBIBYTE : 1;
  const { title, unit } = bound;
  const all: readonly Point[] = samples
    .filter((sample) => sample.node === node)
    .map((sample) => [sample.atSeconds, sample[bound.figure] / scale]);
  const points = leaveOutWarmUp(all);
  const lasted = (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0);
  const isJudged = lasted >= LEAST_SECONDS;
  const used = isJudged ? points : all;
  if (used.length === 0 || used.some(([, value]) => Number.isNaN(value))) {
    const problems = [`${title} of ${node} could not be measured`];
    return { node, title, unit, first: 0, last: 0, slopePerMinute: 0, highest: 0, isJudged, problems };
  }
  const values = used.map(([, value]) => value);
  const found = { ...compareThirds(used), slopePerMinute: estimateSlope(used) * 60 };
  const problems = isJudged ? listProblems(node, bound, { ...found, middle: median(values) }) : [];
  return { node, title, unit, ...found, highest: Math.max(...values), isJudged, problems };
}

function leaveOutWarmUp(points: readonly Point[]): readonly Point[] {
  const beganAt = points[0]?.[0] ?? 0;
  const endedAt = points.at(-1)?.[0] ?? 0;
  const warmAt = beganAt + Math.max(WARM_UP.leastSeconds, (endedAt - beganAt) * WARM_UP.share);
  return points.filter(([atSeconds]) => atSeconds >= warmAt);
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

/** More descriptors than this above those of a daemon at rest are a leak. */
const DESCRIPTORS_AFTER_REST = 12;
const CHILDREN_AFTER_REST = 2;

/** A daemon at rest: its open files by what they are. */
export interface RestSample {
  readonly node: string;
  readonly children: number;
  readonly descriptors: Readonly<Record<string, number>>;
}

/** Both at rest: after a little of every kind of work, and at the end. */
export function judgeRest(before: readonly RestSample[], after: readonly RestSample[]): readonly string[] {
  return after.flatMap((sample) => {
    const base = before.find(({ node }) => node === sample.node);
    if (base === undefined) return [`${sample.node} was not measured before the load`];
    const problems = [...judgeOpenFiles(sample)];
    const more = countOthers(sample) - countOthers(base);
    if (more > DESCRIPTORS_AFTER_REST) {
      problems.push(`${sample.node} has ${more} more descriptors at rest than before: ${describeMore(base, sample)}`);
    }
    if (sample.children > base.children + CHILDREN_AFTER_REST) {
      problems.push(`${sample.node} has ${sample.children} children at rest, ${base.children} before the load`);
    }
    return problems;
  });
}

function judgeOpenFiles({ node, descriptors }: RestSample): readonly string[] {
  return Object.entries(OPEN_FILE_BOUNDS).flatMap(([folder, most]) => {
    const count = descriptors[folder] ?? 0;
    return count <= most ? [] : [`${node} has ${count} files of ${folder}/ open at rest, at most ${most}`];
  });
}

function countOthers({ descriptors }: RestSample): number {
  const others = Object.entries(descriptors).filter(([kind]) => !(kind in OPEN_FILE_BOUNDS));
  return others.reduce((sum, [, count]) => sum + count, 0);
}

function describeMore(base: RestSample, sample: RestSample): string {
  const grown = Object.entries(sample.descriptors).filter(([kind, count]) => count > (base.descriptors[kind] ?? 0));
  return grown.map(([kind, count]) => `${kind} ${base.descriptors[kind] ?? 0} to ${count}`).join(', ');
}
