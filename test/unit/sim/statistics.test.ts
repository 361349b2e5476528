import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/sim/random/seeded-random.ts';
import { computeChiSquareTail } from '../../../src/sim/statistics/chi-square.ts';
import { testGoodnessOfFit } from '../../../src/sim/statistics/goodness-of-fit.ts';
import { computeHypergeometric, listHypergeometric } from '../../../src/sim/statistics/hypergeometric.ts';
import { computeLogGamma } from '../../../src/sim/statistics/log-gamma.ts';
import { pickQuantile } from '../../../src/sim/statistics/quantile.ts';

describe('log-gamma', () => {
  it.each([
    [1, 0],
    [5, Math.log(24)],
    [0.5, Math.log(Math.sqrt(Math.PI))],
    [171, 706.573_062_245_787_4],
  ])('of %d', (x, expected) => {
    expect(computeLogGamma(x)).toBeCloseTo(expected, 10);
  });
});

describe('chi-square', () => {
  // Abramowitz and Stegun, table 26.8.
  it.each([
    [3.841_458_82, 1, 0.05],
    [11.070_497_7, 5, 0.05],
    [12.017_036_6, 7, 0.1],
    [23.209_251_2, 10, 0.01],
    [59.703_064_3, 30, 0.001],
    [0.554_298_08, 5, 0.99],
  ])('%d with %d degrees', (statistic, degrees, tail) => {
    expect(computeChiSquareTail(statistic, degrees)).toBeCloseTo(tail, 7);
  });

  it('with two degrees is an exponential', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 200, noNaN: true }), (statistic) => {
        expect(computeChiSquareTail(statistic, 2) / Math.exp(-statistic / 2)).toBeCloseTo(1, 9);
      }),
    );
  });
});

describe('hypergeometric', () => {
  it('aces among five cards', () => {
    const urn = { population: 52, marked: 4, draws: 5 };
    expect(computeHypergeometric(urn, 0)).toBeCloseTo(0.658_841_998_338, 10);
    expect(computeHypergeometric(urn, 1)).toBeCloseTo(0.299_473_635_608, 10);
    expect(computeHypergeometric(urn, 4)).toBeCloseTo(48 / 2_598_960, 12);
    expect(computeHypergeometric(urn, 5)).toBe(0);
  });

  it('the chances of all counts add up to 1', () => {
    const chances = listHypergeometric({ population: 9_999, marked: 3_333, draws: 8 });
    expect(chances.reduce((sum, chance) => sum + chance, 0)).toBeCloseTo(1, 9);
  });
});

describe('goodness of fit', () => {
  it('of a die', () => {
    const fit = testGoodnessOfFit(
      [5, 8, 9, 8, 10, 20],
      [1, 1, 1, 1, 1, 1].map((one) => one / 6),
    );
    expect(fit.statistic).toBeCloseTo(13.4, 10);
    expect(fit.degrees).toBe(5);
    expect(fit.p).toBeCloseTo(0.019_905, 5);
  });

  it('pools cells that expect less than five, and loses nothing', () => {
    const fit = testGoodnessOfFit([90, 6, 3, 1], [0.9, 0.07, 0.02, 0.01]);
    expect(fit.cells).toEqual([
      { observed: 90, expected: 90 },
      { observed: 10, expected: expect.closeTo(10, 10) },
    ]);
  });

  it('finds draws that lean by two in a hundred', () => {
    const random = new SeededRandom('lean');
    const chances = listHypergeometric({ population: 9_999, marked: 3_333, draws: 8 });
    const draw = (share: number): number[] => {
      const counts = chances.map(() => 0);
      for (let node = 0; node < 6_667; node += 1) {
        let marked = 0;
        for (let slot = 0; slot < 8; slot += 1) if (random.isBelow(share)) marked += 1;
        counts[marked] = (counts[marked] ?? 0) + 1;
      }
      return counts;
    };
    expect(testGoodnessOfFit(draw(1 / 3), chances).p).toBeGreaterThan(0.01);
    expect(testGoodnessOfFit(draw(1 / 3 + 0.02), chances).p).toBeLessThan(0.0001);
  });
});

describe('quantile', () => {
  it('of ten', () => {
    const sorted = Array.from({ length: 10 }, (_, index) => index);
    expect([0, 0.5, 0.99, 1].map((share) => pickQuantile(sorted, share))).toEqual([0, 5, 9, 9]);
    expect(pickQuantile([], 0.5)).toBeNaN();
  });
});
