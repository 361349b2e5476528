import { describe, expect, it } from 'vitest';
import {
  BOUNDS,
  type Bound,
  churnBoundsFor,
  judgeFigure,
  judgeRest,
  OPEN_FILE_BOUNDS,
} from '../../../../scripts/soak/judge.ts';
import { readMetric, type Sample } from '../../../../scripts/soak/sample.ts';
import { compareThirds, estimateSlope, median, type Point } from '../../../../scripts/soak/statistics.ts';

const MEBIBYTE = 2 ** 20;

/** One a second, each with a value of its own. */
function createSamples(seconds: number, change: (atSeconds: number) => Partial<Sample>): readonly Sample[] {
  return Array.from({ length: seconds }, (_, atSeconds) => ({
    node: 'ada',
    pid: 1,
    atSeconds,
    rssBytes: 100 * MEBIBYTE,
    heapBytes: 50 * MEBIBYTE,
    descriptors: 30,
    openFiles: 10,
    threads: 11,
    children: 4,
    loopDelayMs: 20,
    loopDelayP99Ms: 5,
    databaseBytes: 0,
    blobBytes: 0,
    processorSeconds: atSeconds / 100,
    neighbours: 3,
    ...change(atSeconds),
  }));
}

function findBound(figure: Bound['figure']): Bound {
  const bound = BOUNDS.find((each) => each.figure === figure);
  if (bound === undefined) throw new TypeError(`no bound of ${figure}`);
  return bound;
}

const judge = (figure: Bound['figure'], seconds: number, change: (atSeconds: number) => Partial<Sample>) =>
  judgeFigure(createSamples(seconds, change), 'ada', findBound(figure));

describe('robust statistics', () => {
  it('give the slope of a line whatever single points do', () => {
    const line: Point[] = Array.from({ length: 100 }, (_, at) => [at, 7 + 3 * at]);
    expect(estimateSlope(line)).toBeCloseTo(3);
    for (let at = 0; at < 100; at += 5) line[at] = [at, 1e9];
    expect(estimateSlope(line)).toBeCloseTo(3, 0);
    expect(estimateSlope([[0, 1]])).toBe(0);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it('thin long series', () => {
    const line: Point[] = Array.from({ length: 5_000 }, (_, at) => [at, -2 * at]);
    expect(estimateSlope(line)).toBeCloseTo(-2);
    expect(compareThirds(line).first).toBeGreaterThan(compareThirds(line).last);
  });
});

describe('the judgement of a soak', () => {
  it('finds nothing in what stays, or goes up and down', () => {
    for (const bound of BOUNDS) {
      expect(
        judgeFigure(
          createSamples(600, () => ({})),
          'ada',
          bound,
        ),
      ).toMatchObject({ isJudged: true, problems: [] });
    }
    const saw = judge('heapBytes', 600, (at) => ({ heapBytes: (40 + (at % 20) * 2) * MEBIBYTE }));
    expect(saw.problems).toEqual([]);
  });

  it('passes over the warm-up', () => {
    const warming = judge('rssBytes', 600, (at) => ({ rssBytes: (at < 100 ? at : 100) * MEBIBYTE }));
    expect(warming.problems).toEqual([]);
  });

  it.each([
    ['memory that grows', 'rssBytes', (at: number) => ({ rssBytes: (100 + at / 5) * MEBIBYTE }), /grows by 12\.0 MiB/],
    [
      'memory that jumped',
      'rssBytes',
      (at: number) => ({ rssBytes: (at < 300 ? 100 : 300) * MEBIBYTE }),
      /100\.0 MiB to 300/,
    ],
    ['descriptors that stay open', 'descriptors', (at: number) => ({ descriptors: 30 + at / 10 }), /sockets, pipes/],
    ['children that pile up', 'children', (at: number) => ({ children: Math.floor(at / 60) }), /child processes/],
    ['threads that pile up', 'threads', (at: number) => ({ threads: 11 + Math.floor(at / 60) }), /threads/],
    ['a held up event loop', 'loopDelayP99Ms', () => ({ loopDelayP99Ms: 250 }), /250\.0 ms in the middle/],
    ['a figure that is not there', 'heapBytes', () => ({ heapBytes: Number.NaN }), /could not be measured/],
  ] as const)('finds %s', (_, figure, change, problem) => {
    expect(judge(figure, 600, change).problems.join('; ')).toMatch(problem);
  });

  it('judges three minutes of churn, by what grows faster than a daemon warms up', () => {
    const bounds = churnBoundsFor(180);
    const growing = (mebibytes: number) =>
      bounds.flatMap((bound) =>
        judgeFigure(
          createSamples(176, (at) => ({ rssBytes: (150 + (at * mebibytes) / 60) * MEBIBYTE })),
          'ada',
          bound,
        ),
      );
    expect(growing(22).map(({ isJudged, problems }) => [isJudged, problems])).toEqual(bounds.map(() => [true, []]));
    expect(growing(50).flatMap(({ problems }) => problems)).toEqual([expect.stringMatching(/memory .* grows by 50/)]);
  });

  it('of an hour takes a slope for a leak', () => {
    const samples = createSamples(3_600, (at) => ({ heapBytes: (60 + at / 40) * MEBIBYTE }));
    const problems = churnBoundsFor(3_600).flatMap((bound) => judgeFigure(samples, 'ada', bound).problems);
    expect(problems.join('; ')).toMatch(/heap in use of ada grows by 1\.5 MiB a minute/);
  });

  it('judges no growth of a short run', () => {
    const short = judge('rssBytes', 90, (at) => ({ rssBytes: (100 + at) * MEBIBYTE }));
    expect(short).toMatchObject({ isJudged: false, problems: [] });
    expect(short.last).toBeGreaterThan(short.first);
  });

  it('compares daemons at rest, but for files that stores keep open', () => {
    const before = [{ node: 'ada', children: 2, descriptors: { socket: 10, blobs: 1 } }];
    const same = [{ node: 'ada', children: 3, descriptors: { socket: 15, blobs: OPEN_FILE_BOUNDS['blobs'] ?? 0 } }];
    expect(judgeRest(before, same)).toEqual([]);
    const more = [{ node: 'ada', children: 9, descriptors: { socket: 40, pipe: 2, blobs: 1_000 } }];
    expect(judgeRest(before, more)).toEqual([
      expect.stringMatching(/1000 files of blobs/),
      expect.stringMatching(/32 more descriptors at rest than before: .*socket 10 to 40/),
      expect.stringMatching(/9 children/),
    ]);
    expect(judgeRest([], same)).toEqual(['ada was not measured before the load']);
  });

  it('reads a metric with and without labels', () => {
    const text = '# HELP a b\na 3\na{quantile="1"} 0.25\nab 7\n';
    expect(readMetric(text, 'a')).toBe(3);
    expect(readMetric(text, 'a{quantile="1"}')).toBe(0.25);
    expect(readMetric(text, 'c')).toBeNaN();
  });
});
