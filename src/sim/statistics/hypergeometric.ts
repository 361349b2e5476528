import { computeLogChoose } from './log-gamma.ts';

export interface Urn {
  readonly population: number;
  /** How many of them are of the kind that is counted. */
  readonly marked: number;
  readonly draws: number;
}

/** The chance of exactly `count` marked ones among the draws, without putting back. */
export function computeHypergeometric({ population, marked, draws }: Urn, count: number): number {
  if (count < Math.max(0, draws - (population - marked)) || count > Math.min(draws, marked)) return 0;
  return Math.exp(
    computeLogChoose(marked, count) +
      computeLogChoose(population - marked, draws - count) -
      computeLogChoose(population, draws),
  );
}

/** Chances of 0, 1, … draws marked ones. */
export function listHypergeometric(urn: Urn): readonly number[] {
  return Array.from({ length: urn.draws + 1 }, (_, count) => computeHypergeometric(urn, count));
}
