/**
 * Beta reputation (A. Jøsang, R. Ismail: The Beta Reputation System, 2002) with decay by epochs: of each subject and
 * dimension, posterior Beta(1 + Σ w·d^age over successes, 1 + Σ w·d^age over failures).
 * All sums are integers, so that whoever has the same observations has the same numbers: weights in 10^-6, decayed sums in
 * 2^-20 of that, decay factors in 2^-32, each rounded down. Floats appear in the posterior only, which nobody hashes.
 */
import type { Observation, ObservedVerdict } from '../domain/observation.ts';

/** Dimensions with their points in the 0-1000 view. */
export const DIMENSION_POINTS = {
  completion: 400,
  timeliness: 250,
  ratings: 200,
  correctness: 100,
  availability: 50,
} as const;
export type Dimension = keyof typeof DIMENSION_POINTS;
export const DIMENSIONS = Object.keys(DIMENSION_POINTS) as readonly Dimension[];

/** 1 in the units of weights. */
export const WEIGHT_ONE = 1_000_000n;
/** Of an attempt that nobody paid for and nothing anchors, and of one that is anchored. */
export const UNPAID_WEIGHT = 10_000n;
export const ANCHORED_WEIGHT = 20_000n;
/** Of one attempt, however much was paid for it. */
export const MAX_WEIGHT = 10n * WEIGHT_ONE;
/** Base units of value for the weight 10^-6: a token (10^9 base units) weighs 1. */
const VALUE_PER_UNIT = 1_000n;
/** The share of the stake that a failure costs at least (reference: 10 % of the smallest). */
const STAKE_SHARE = 10n;

/** What is known to stand behind an attempt, in base units: what nobody could check is 0 and false. */
export interface Backing {
  readonly payment: bigint;
  readonly stake: bigint;
  readonly isAnchored: boolean;
}

export const NO_BACKING: Backing = { payment: 0n, stake: 0n, isAnchored: false };

/**
 * Proportional to what is at stake, so that nothing is gained by splitting a payment; never less than an attempt without
 * one. Never by the observer's reputation: everybody must compute the same.
 */
export function computeWeight({ payment, stake, isAnchored }: Backing): bigint {
  const floor = isAnchored ? ANCHORED_WEIGHT : UNPAID_WEIGHT;
  const value = (payment + stake / STAKE_SHARE) / VALUE_PER_UNIT;
  if (value <= floor) return floor;
  return value > MAX_WEIGHT ? MAX_WEIGHT : value;
}

/** Weighs no more than an unpaid attempt may: such observations are capped for each pair of peers and epoch. */
export function isCapped(weight: bigint): boolean {
  return weight <= ANCHORED_WEIGHT;
}

/** Sums of the weights of successes and failures. */
export interface Evidence {
  readonly success: bigint;
  readonly failure: bigint;
}
export type DimensionSums = Readonly<Record<Dimension, Evidence>>;

const NO_EVIDENCE: Evidence = { success: 0n, failure: 0n };
export const EMPTY_SUMS: DimensionSums = {
  completion: NO_EVIDENCE,
  timeliness: NO_EVIDENCE,
  ratings: NO_EVIDENCE,
  correctness: NO_EVIDENCE,
  availability: NO_EVIDENCE,
};

type Seen = Pick<Observation, 'outcome' | 'rating'>;

/** What one observation adds. */
export function computeContribution({ outcome, rating }: Seen, weight: bigint): DimensionSums {
  return {
    completion: weigh(outcome.completion, weight),
    timeliness: weigh(outcome.timeliness, weight),
    correctness: weigh(outcome.correctness, weight),
    availability: weigh(outcome.availability, weight),
    ratings: rating === null ? NO_EVIDENCE : weighRating(BigInt(rating), weight),
  };
}

function weigh(verdict: ObservedVerdict, weight: bigint): Evidence {
  switch (verdict) {
    case 'success':
      return { success: weight, failure: 0n };
    case 'failure':
      return { success: 0n, failure: weight };
    case 'none':
      return NO_EVIDENCE;
    default:
      return verdict satisfies never;
  }
}

/**
 * Five stars are a success, one is a failure, those between are shared: the paper's feedback v from -1 to 1 with v = (rating - 3) / 2,
 * r = w(1 + v) / 2 and s = w(1 - v) / 2. Three draw the mean towards that of a newcomer.
 */
function weighRating(rating: bigint, weight: bigint): Evidence {
  return { success: (weight * (rating - 1n)) / 4n, failure: (weight * (5n - rating)) / 4n };
}

export function mapSums(sums: DimensionSums, change: (evidence: Evidence, dimension: Dimension) => Evidence) {
  return {
    completion: change(sums.completion, 'completion'),
    timeliness: change(sums.timeliness, 'timeliness'),
    ratings: change(sums.ratings, 'ratings'),
    correctness: change(sums.correctness, 'correctness'),
    availability: change(sums.availability, 'availability'),
  } satisfies DimensionSums;
}

export function addSums(a: DimensionSums, b: DimensionSums): DimensionSums {
  return mapSums(a, ({ success, failure }, dimension) => ({
    success: success + b[dimension].success,
    failure: failure + b[dimension].failure,
  }));
}

export function subtractSums(a: DimensionSums, b: DimensionSums): DimensionSums {
  return mapSums(a, ({ success, failure }, dimension) => ({
    success: success - b[dimension].success,
    failure: failure - b[dimension].failure,
  }));
}

const FACTOR_BITS = 32n;
const ROOT_BITS = 64n;
const EXPONENT_BITS = 40;
/** Half-lives after which nothing is left of a weight. */
const FORGOTTEN_HALF_LIVES = 64;

/** ROOTS[i] is 2^(-2^-(i+1)) in 2^-64: a half's square root, the root of that, and so on, rounded down. */
const ROOTS: readonly bigint[] = listRoots();

function listRoots(): bigint[] {
  const roots: bigint[] = [];
  let value = 1n << (ROOT_BITS - 1n);
  for (let index = 0; index < EXPONENT_BITS; index++) {
    value = floorSquareRoot(value << ROOT_BITS);
    roots.push(value);
  }
  return roots;
}

/** Newton's method from above. */
function floorSquareRoot(value: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** 2^(-age / half-life) in 2^-32, by integers alone: the same on every machine. */
export function computeDecayFactor(age: number, halfLifeEpochs: number): bigint {
  if (age <= 0) return 1n << FACTOR_BITS;
  const halvings = Math.floor(age / halfLifeEpochs);
  if (halvings >= FORGOTTEN_HALF_LIVES) return 0n;
  let exponent = (BigInt(age % halfLifeEpochs) << BigInt(EXPONENT_BITS)) / BigInt(halfLifeEpochs);
  let factor = 1n << ROOT_BITS;
  for (let index = EXPONENT_BITS - 1; index >= 0; index--) {
    if ((exponent & 1n) === 1n) factor = (factor * (ROOTS[index] ?? 0n)) >> ROOT_BITS;
    exponent >>= 1n;
  }
  return factor >> (ROOT_BITS - FACTOR_BITS + BigInt(halvings));
}

/** Ages come again and again: the factors that were asked for are kept, up to a bound. */
export class DecayTable {
  static readonly #MAX_KEPT = 8_192;
  readonly #halfLifeEpochs: number;
  readonly #factors = new Map<number, bigint>();

  constructor(options: { readonly halfLifeEpochs: number }) {
    this.#halfLifeEpochs = options.halfLifeEpochs;
  }

  factor(age: number): bigint {
    let factor = this.#factors.get(age);
    if (factor === undefined) {
      factor = computeDecayFactor(age, this.#halfLifeEpochs);
      if (this.#factors.size >= DecayTable.#MAX_KEPT) this.#factors.clear();
      this.#factors.set(age, factor);
    }
    return factor;
  }
}

const FINE_BITS = 20n;

/** Decayed sums as they stood in an epoch, in 2^-20 of a weight's unit. */
export interface DecayedSums {
  readonly epoch: number;
  readonly sums: DimensionSums;
}

/** Sums of one epoch, not decayed. */
export interface EpochSums {
  readonly epoch: number;
  readonly sums: DimensionSums;
}

/** Carries decayed sums to a later epoch. */
export function decaySums(from: DecayedSums, epoch: number, table: DecayTable): DecayedSums {
  const factor = table.factor(epoch - from.epoch);
  const sums = mapSums(from.sums, ({ success, failure }) => ({
    success: (success * factor) >> FACTOR_BITS,
    failure: (failure * factor) >> FACTOR_BITS,
  }));
  return { epoch, sums };
}

/** Adds the sums of an epoch, which must not be older than what is there. */
export function foldEpoch(base: DecayedSums | null, next: EpochSums, table: DecayTable): DecayedSums {
  const fine = toFine(next.sums);
  if (base === null) return { epoch: next.epoch, sums: fine };
  return { epoch: next.epoch, sums: addSums(decaySums(base, next.epoch, table).sums, fine) };
}

function toFine(sums: DimensionSums): DimensionSums {
  return mapSums(sums, ({ success, failure }) => ({ success: success << FINE_BITS, failure: failure << FINE_BITS }));
}

/** What a base and the epochs after it come to in an epoch. */
export function sumDecayed(
  base: DecayedSums | null,
  epochs: Iterable<EpochSums>,
  at: { readonly epoch: number; readonly table: DecayTable },
): DecayedSums {
  let sums = base === null ? EMPTY_SUMS : decaySums(base, at.epoch, at.table).sums;
  for (const { epoch, sums: added } of epochs) {
    sums = addSums(sums, decaySums({ epoch, sums: toFine(added) }, at.epoch, at.table).sums);
  }
  return { epoch: at.epoch, sums };
}

/** Beta(alpha, beta), the prior Beta(1, 1) included. For display and ranking. */
export interface Posterior {
  readonly alpha: number;
  readonly beta: number;
  readonly mean: number;
  /** Evidence beyond the prior: 1 is one attempt that one token was paid for. */
  readonly weight: number;
}

const FINE_ONE = Number(WEIGHT_ONE << FINE_BITS);

export function computePosterior({ success, failure }: Evidence): Posterior {
  const successes = Number(success) / FINE_ONE;
  const failures = Number(failure) / FINE_ONE;
  const [alpha, beta] = [1 + successes, 1 + failures];
  return { alpha, beta, mean: alpha / (alpha + beta), weight: successes + failures };
}

export const TIERS = ['bronze', 'silver', 'gold', 'platinum', 'diamond'] as const;
export type Tier = (typeof TIERS)[number];

/** From this view on (economics: Bronze 0-299, Silver 300-599, Gold 600-799, Platinum 800-899, Diamond 900-1000). */
const TIER_FROM: Readonly<Record<Tier, number>> = { bronze: 0, silver: 300, gold: 600, platinum: 800, diamond: 900 };

export function findTier(view: number): Tier {
  return TIERS.findLast((tier) => view >= TIER_FROM[tier]) ?? 'bronze';
}

/** Means or bounds of all dimensions as one number from 0 to 1, by the points of each. */
export function combineDimensions(values: Readonly<Record<Dimension, number>>): number {
  return DIMENSIONS.reduce((sum, dimension) => sum + values[dimension] * DIMENSION_POINTS[dimension], 0) / 1000;
}
