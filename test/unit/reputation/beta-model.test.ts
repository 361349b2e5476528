import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOTHING_OBSERVED } from '../../../src/domain/observation.ts';
import {
  ANCHORED_WEIGHT,
  addSums,
  combineDimensions,
  computeContribution,
  computeDecayFactor,
  computePosterior,
  computeWeight,
  DecayTable,
  DIMENSION_POINTS,
  DIMENSIONS,
  EMPTY_SUMS,
  type EpochSums,
  findTier,
  foldEpoch,
  isCapped,
  MAX_WEIGHT,
  NO_BACKING,
  type Posterior,
  subtractSums,
  sumDecayed,
  UNPAID_WEIGHT,
  WEIGHT_ONE,
} from '../../../src/reputation/beta-model.ts';
import { CredibleBound, loadBetaQuantile, PRIOR_LOWER_BOUND } from '../../../src/reputation/credible-bound.ts';
import { FAILED, SERVED } from '../../support/observation-builder.ts';

const TOKEN = 10n ** 9n;
const HALF_LIFE = 720;
const weights = fc.bigInt({ min: 1n, max: MAX_WEIGHT });

describe('the weight of an attempt', () => {
  it('is 0.01 where nothing is behind it, and is capped; 0.02 where it is anchored', () => {
    expect(computeWeight(NO_BACKING)).toBe(WEIGHT_ONE / 100n);
    expect(computeWeight({ ...NO_BACKING, isAnchored: true })).toBe(ANCHORED_WEIGHT);
    expect(isCapped(UNPAID_WEIGHT)).toBe(true);
    expect(isCapped(ANCHORED_WEIGHT)).toBe(true);
  });

  it('is 1 for a token paid, or for ten staked, and never more than 10', () => {
    expect(computeWeight({ payment: TOKEN, stake: 0n, isAnchored: false })).toBe(WEIGHT_ONE);
    expect(computeWeight({ payment: 0n, stake: 10n * TOKEN, isAnchored: false })).toBe(WEIGHT_ONE);
    expect(computeWeight({ payment: 10n ** 30n, stake: 0n, isAnchored: false })).toBe(MAX_WEIGHT);
    expect(isCapped(computeWeight({ payment: TOKEN, stake: 0n, isAnchored: false }))).toBe(false);
  });

  it('gains nothing from a payment that is split, but for the share that unpaid attempts have and that is capped', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: TOKEN, max: 10n * TOKEN }), fc.integer({ min: 2, max: 20 }), (payment, parts) => {
        const whole = computeWeight({ payment, stake: 0n, isAnchored: false });
        const part = computeWeight({ payment: payment / BigInt(parts), stake: 0n, isAnchored: false });
        expect(part * BigInt(parts)).toBeLessThanOrEqual(whole);
      }),
    );
  });
});

describe('decay', () => {
  it('is 1 at once, a half after a half-life, and nothing after many', () => {
    expect(computeDecayFactor(0, HALF_LIFE)).toBe(1n << 32n);
    expect(computeDecayFactor(HALF_LIFE, HALF_LIFE)).toBe(1n << 31n);
    expect(computeDecayFactor(3 * HALF_LIFE, HALF_LIFE)).toBe(1n << 29n);
    expect(computeDecayFactor(64 * HALF_LIFE, HALF_LIFE)).toBe(0n);
  });

  it('is 2^(-age/half-life) to nine digits, and never goes up', () => {
    fc.assert(
      fc.property(fc.nat({ max: 20_000 }), fc.integer({ min: 1, max: 100_000 }), (age, halfLife) => {
        const factor = computeDecayFactor(age, halfLife);
        expect(Math.abs(Number(factor) / 2 ** 32 - 2 ** (-age / halfLife))).toBeLessThan(1e-9);
        expect(computeDecayFactor(age + 1, halfLife) <= factor).toBe(true);
      }),
    );
  });

  it('has known values, computed apart with 60 digits', () => {
    expect([1, 24, 100, 719].map((age) => computeDecayFactor(age, HALF_LIFE))).toEqual([
      4290834501n,
      4196870107n,
      3900768165n,
      2149552035n,
    ]);
  });
});

interface Seen {
  readonly age: number;
  readonly isSuccess: boolean;
  readonly weight: bigint;
}

const seen: fc.Arbitrary<Seen> = fc.record({
  age: fc.nat({ max: 2_000 }),
  isSuccess: fc.boolean(),
  weight: weights,
});

const NOW = 10_000;
const contribution = ({ isSuccess, weight }: Seen) =>
  computeContribution({ outcome: isSuccess ? SERVED : FAILED, rating: null }, weight);

/** The model with floats, as a textbook has it. */
function computeNaively(all: readonly Seen[]): { alpha: number; beta: number } {
  const sum = (isSuccess: boolean): number =>
    all
      .filter((one) => one.isSuccess === isSuccess)
      .reduce((total, { weight, age }) => total + (Number(weight) / 1e6) * 2 ** (-age / HALF_LIFE), 0);
  return { alpha: 1 + sum(true), beta: 1 + sum(false) };
}

function toEpochs(all: readonly Seen[]): EpochSums[] {
  const epochs = new Map<number, EpochSums>();
  for (const one of all) {
    const epoch = NOW - one.age;
    const { sums } = epochs.get(epoch) ?? { sums: EMPTY_SUMS };
    epochs.set(epoch, { epoch, sums: addSums(sums, contribution(one)) });
  }
  return [...epochs.values()];
}

describe('the posterior', () => {
  const table = new DecayTable({ halfLifeEpochs: HALF_LIFE });

  it('is that of a naive model with floats, folded or not', () => {
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 60 }), fc.nat({ max: 2_000 }), (all, foldedAge) => {
        const epochs = toEpochs(all).sort((a, b) => a.epoch - b.epoch);
        const old = epochs.filter(({ epoch }) => epoch <= NOW - foldedAge);
        const recent = epochs.filter(({ epoch }) => epoch > NOW - foldedAge);
        let base: ReturnType<typeof foldEpoch> | null = null;
        for (const epoch of old) base = foldEpoch(base, epoch, table);
        const { alpha, beta } = computePosterior(sumDecayed(base, recent, { epoch: NOW, table }).sums.completion);
        const expected = computeNaively(all);
        expect(Math.abs(alpha - expected.alpha)).toBeLessThan(1e-6 * expected.alpha);
        expect(Math.abs(beta - expected.beta)).toBeLessThan(1e-6 * expected.beta);
      }),
      { numRuns: 25 },
    );
  });

  it('does not depend on the order of what is summed, and forgets what is taken away', () => {
    fc.assert(
      fc.property(fc.array(seen, { minLength: 1, maxLength: 30 }), (all) => {
        const sum = (some: readonly Seen[]) => some.map(contribution).reduce(addSums, EMPTY_SUMS);
        expect(sum(all.toReversed())).toEqual(sum(all));
        expect(subtractSums(sum(all), contribution(all[0] as Seen))).toEqual(sum(all.slice(1)));
      }),
    );
  });

  it('shares a rating between success and failure', () => {
    const rated = (rating: number) => computeContribution({ outcome: SERVED, rating }, WEIGHT_ONE).ratings;
    expect(rated(5)).toEqual({ success: WEIGHT_ONE, failure: 0n });
    expect(rated(1)).toEqual({ success: 0n, failure: WEIGHT_ONE });
    expect(rated(3)).toEqual({ success: WEIGHT_ONE / 2n, failure: WEIGHT_ONE / 2n });
  });

  it('is better for each star, whatever is known; three leave the mean of a newcomer', () => {
    const evidence = fc.record({ success: fc.bigInt(0n, 1n << 50n), failure: fc.bigInt(0n, 1n << 50n) });
    const bounded = fc.tuple(evidence, weights, fc.integer({ min: 1, max: 4 }));
    fc.assert(
      fc.property(bounded, ([known, weight, stars]) => {
        const after = (rating: number): Posterior => {
          const { ratings } = computeContribution({ outcome: NOTHING_OBSERVED, rating }, weight);
          const total = ratings.success + ratings.failure;
          expect(total <= weight && total >= weight - 1n).toBe(true);
          return computePosterior({
            success: known.success + (ratings.success << 20n),
            failure: known.failure + (ratings.failure << 20n),
          });
        };
        expect(after(stars + 1).alpha).toBeGreaterThanOrEqual(after(stars).alpha);
        expect(after(stars + 1).beta).toBeLessThanOrEqual(after(stars).beta);
        if (weight >= 4n) expect(after(5).mean).toBeGreaterThan(after(1).mean);
      }),
    );
    fc.assert(
      fc.property(weights, (weight) => {
        const { ratings, ...others } = computeContribution({ outcome: NOTHING_OBSERVED, rating: 3 }, weight);
        expect(ratings.success).toBe(ratings.failure);
        expect(Object.values(others).every(({ success, failure }) => success === 0n && failure === 0n)).toBe(true);
      }),
    );
  });
});

describe('lower bounds', () => {
  // Beta(x, n - x + 1) at 0.025 is the lower end of Clopper and Pearson's interval for x of n. Published: R's binom.test
  // of Mendel's 682 of 925 (manual page), 8 and 5 of 10 and 1 of 20 (any table of exact binomial limits).
  it.each([
    [682, 244, 0.7076683],
    [8, 3, 0.4439045],
    [5, 6, 0.187086],
    [10, 1, 0.6915029],
    [1, 20, 0.0012651],
  ])('of Beta(%d, %d) is %d', async (alpha, beta, expected) => {
    const bound = new CredibleBound(await loadBetaQuantile());
    expect(bound.lower({ alpha, beta })).toBeCloseTo(expected, 6);
  });

  it('of a newcomer is that of the uniform distribution, and needs no library', () => {
    const bound = new CredibleBound(() => Number.NaN);
    expect(bound.lower({ alpha: 1, beta: 1 })).toBe(PRIOR_LOWER_BOUND);
  });
});

describe('the view', () => {
  it('has the points of the dimensions, 1000 in all', () => {
    expect(DIMENSIONS.reduce((sum, name) => sum + DIMENSION_POINTS[name], 0)).toBe(1000);
    const all = (value: number) =>
      combineDimensions({
        completion: value,
        timeliness: value,
        ratings: value,
        correctness: value,
        availability: value,
      });
    expect(all(1)).toBeCloseTo(1, 12);
    expect(all(0.5)).toBeCloseTo(0.5, 12);
  });

  it('has the tiers of the economics', () => {
    const edges = [0, 299, 300, 599, 600, 799, 800, 899, 900, 1000];
    const tiers = [
      'bronze',
      'bronze',
      'silver',
      'silver',
      'gold',
      'gold',
      'platinum',
      'platinum',
      'diamond',
      'diamond',
    ];
    expect(edges.map(findTier)).toEqual(tiers);
  });
});
