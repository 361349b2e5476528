/** Lanczos's approximation with g = 7 and 9 terms (Godfrey's coefficients): relative error below 10^-14. */
const COEFFICIENTS = [
  0.999_999_999_999_809_93, 676.520_368_121_885_1, -1_259.139_216_722_402_8, 771.323_428_777_653_13,
  -176.615_029_162_140_59, 12.507_343_278_686_905, -0.138_571_095_265_720_12, 9.984_369_578_019_572e-6,
  1.505_632_735_149_311_6e-7,
] as const;
const G = 7;

/** ln Γ(x) for x > 0. */
export function computeLogGamma(x: number): number {
  const [first, ...rest] = COEFFICIENTS;
  const shifted = x - 1;
  const sum = rest.reduce((total, coefficient, index) => total + coefficient / (shifted + index + 1), first as number);
  const t = shifted + G + 0.5;
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** ln of the number of ways to choose k of n. */
export function computeLogChoose(n: number, k: number): number {
  return computeLogGamma(n + 1) - computeLogGamma(k + 1) - computeLogGamma(n - k + 1);
}
