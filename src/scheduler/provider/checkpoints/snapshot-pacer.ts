/**
 * Decides at which checkpoints a snapshot is made: at the first in any case, then as long as snapshots take no more than
 * their share of the run time (docs/decisions/0009-checkpoints-and-snapshots.md). Times are monotonic ms.
 *
 * The first has all of the state and says nothing of what a change costs, so it stands outside the share, and a second
 * is tried as soon as the run has lasted as long again: a long job is not to lose its first minutes to an estimate.
 */
export class SnapshotPacer {
  readonly #share: number;
  readonly #beganAtMs: number;
  #firstMs: number | null = null;
  #spentMs = 0;
  #lastMs: number | null = null;

  constructor(options: { readonly share: number; readonly beganAtMs: number }) {
    this.#share = options.share;
    this.#beganAtMs = options.beganAtMs;
  }

  /** From the third on, another one is taken to cost as much as the last. */
  isDue(nowMs: number): boolean {
    if (this.#firstMs === null) return true;
    const ranMs = nowMs - this.#beganAtMs - this.#firstMs;
    if (this.#lastMs === null) return ranMs >= this.#firstMs;
    return this.#spentMs + this.#lastMs <= this.#share * ranMs;
  }

  /** A snapshot that failed has cost its time too. */
  spend(durationMs: number): void {
    if (this.#firstMs === null) {
      this.#firstMs = durationMs;
      return;
    }
    this.#spentMs += durationMs;
    this.#lastMs = durationMs;
  }
}
