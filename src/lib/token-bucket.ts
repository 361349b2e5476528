export interface TokenBucketOptions {
  readonly perSecond: number;
  /** Most tokens held: what may be spent at once after a pause. */
  readonly burst: number;
}

/** Allows `burst` at once and `perSecond` in the long run. Times are monotonic ms, given by the caller. */
export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #filledAtMs: number;

  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#filledAtMs = nowMs;
  }

  /** True, and one token less, if there is one. */
  take(nowMs: number): boolean {
    const { perSecond, burst } = this.#options;
    const elapsedMs = Math.max(0, nowMs - this.#filledAtMs);
    this.#tokens = Math.min(burst, this.#tokens + (elapsedMs * perSecond) / 1000);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
