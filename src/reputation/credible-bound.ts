/** Lower ends of 95 % credible intervals: for display and ranking, never in what is hashed or signed. */

/** Both tails of the interval together leave 5 %. */
const LOWER_TAIL = 0.025;
/** Beta(1, 1) is uniform: its quantile is the probability itself. */
export const PRIOR_LOWER_BOUND = LOWER_TAIL;

/** Most bounds that are kept: posteriors of many peers are equal, and one costs 60 µs. */
const MAX_KEPT = 4_096;

/** Quantile function of Beta(alpha, beta). */
export type BetaQuantile = (probability: number, alpha: number, beta: number) => number;

/** 1,000 modules: a daemon that has no observation to judge does not load them. */
export async function loadBetaQuantile(): Promise<BetaQuantile> {
  const { default: quantile } = await import('@stdlib/stats-base-dists-beta-quantile');
  return quantile;
}

export class CredibleBound {
  readonly #quantile: BetaQuantile;
  readonly #kept = new Map<string, number>();

  constructor(quantile: BetaQuantile) {
    this.#quantile = quantile;
  }

  lower({ alpha, beta }: { readonly alpha: number; readonly beta: number }): number {
    if (alpha === 1 && beta === 1) return PRIOR_LOWER_BOUND;
    // Three digits more than anybody is shown; equal keys give equal bounds.
    const key = `${alpha.toPrecision(6)}/${beta.toPrecision(6)}`;
    let bound = this.#kept.get(key);
    if (bound === undefined) {
      bound = this.#quantile(LOWER_TAIL, Number(alpha.toPrecision(6)), Number(beta.toPrecision(6)));
      if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
      this.#kept.set(key, bound);
    }
    return bound;
  }
}
