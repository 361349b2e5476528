import { computeLogGamma } from './log-gamma.ts';

const MOST_TERMS = 10_000;
const EPSILON = 1e-15;
/** In place of zero in a continued fraction. */
const TINY = 1e-300;

/** The chance that chi-square with so many degrees of freedom is at least `statistic`. */
export function computeChiSquareTail(statistic: number, degrees: number): number {
  if (statistic <= 0) return 1;
  const a = degrees / 2;
  const x = statistic / 2;
  return x < a + 1 ? 1 - computeLowerSeries(a, x) : computeUpperFraction(a, x);
}

/** P(a, x) by its series (NIST DLMF 8.11.4): converges fast for x < a + 1. */
function computeLowerSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < MOST_TERMS && Math.abs(term) > Math.abs(sum) * EPSILON; n += 1) {
    term *= x / (a + n);
    sum += term;
  }
  return sum * computePrefactor(a, x);
}

/** Q(a, x) by its continued fraction (NIST DLMF 8.9.2) in Lentz's way: converges fast for x >= a + 1. */
function computeUpperFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < MOST_TERMS; n += 1) {
    const numerator = -n * (n - a);
    b += 2;
    d = 1 / keepFromZero(numerator * d + b);
    c = keepFromZero(b + numerator / c);
    const factor = c * d;
    fraction *= factor;
    if (Math.abs(factor - 1) < EPSILON) break;
  }
  return fraction * computePrefactor(a, x);
}

function keepFromZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

/** x^a e^-x / Γ(a). */
function computePrefactor(a: number, x: number): number {
  return Math.exp(a * Math.log(x) - x - computeLogGamma(a));
}
