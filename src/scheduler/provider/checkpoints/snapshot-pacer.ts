/**
 * Decides at which checkpoints a snapshot is made: at the first in any case, then as long as snapshots take no more than
 * their share of the run time (docs/decisions/0009-checkpoints-and-snapshots.md). Times are monotonic ms.
 */
export class SnapshotPacer {
  readonly #share: number;
  readonly #beganAtMs: number;
  #spentMs = 0;
  #lastMs: number | null = null;

  constructor(options: { readonly share: number; readonly beganAtMs: number }) {
    this.#share = options.share;
    this.#beganAtMs = options.beganAtMs;
  }

  /** Another one is taken to cost as much as the last. */
  isDue(nowMs: number): boolean {
    if (this.#lastMs === null) return true;
    return this.#spentMs + this.#lastMs <= this.#share * (nowMs - this.#beganAtMs);
  }

  /** A snapshot that failed has cost its time too. */
  spend(durationMs: number): void {
    this.#spentMs += durationMs;
    this.#lastMs = durationMs;
  }
}
