import type { Clock } from '../../lib/clock.ts';

export interface LaneWatchOptions {
  readonly stallMs: number;
  readonly leastRate: { readonly bytesPerSecond: number; readonly graceMs: number };
  readonly signal: AbortSignal;
}

/**
 * Watches one request for leaves: aborts its signal when nothing came for a while, or too little over a longer one. Time in
 * which this node is itself busy with what came does not count.
 */
export class LaneWatch implements Disposable {
  readonly #clock: Clock;
  readonly #options: LaneWatchOptions;
  readonly #controller = new AbortController();
  readonly #onAbort: () => void;
  #timer: Disposable | undefined;
  #stall: string | null = null;
  #lastMs: number;
  #waitedMs = 0;
  #bytes = 0;
  #isPaused = false;
  #measuredFromMs: number;

  constructor(modules: { readonly clock: Clock }, options: LaneWatchOptions) {
    this.#clock = modules.clock;
    this.#options = options;
    this.#lastMs = this.#clock.monotonicMs();
    this.#measuredFromMs = this.#lastMs;
    this.#onAbort = () => this.#controller.abort(options.signal.reason);
    if (options.signal.aborted) this.#onAbort();
    else options.signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#arm(options.stallMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What is wrong with the source, once something is. */
  get stall(): string | null {
    return this.#stall;
  }

  received(bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#waitedMs += nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#bytes += bytes;
    const { bytesPerSecond, graceMs } = this.#options.leastRate;
    if (this.#waitedMs > graceMs && this.#bytes < (this.#waitedMs / 1000) * bytesPerSecond) {
      this.#abort(`${this.#bytes} bytes in ${Math.round(this.#waitedMs)} ms`);
    }
  }

  async pauseWhile(work: Promise<void>): Promise<void> {
    this.#isPaused = true;
    try {
      await work;
    } finally {
      this.#isPaused = false;
      this.#lastMs = this.#clock.monotonicMs();
    }
  }

  /** Time since the last call, or since the request was made. */
  takeElapsedMs(): number {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#measuredFromMs;
    this.#measuredFromMs = nowMs;
    return elapsedMs;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.schedule(delayMs, () => {
      const { stallMs } = this.#options;
      const leftMs = this.#isPaused ? stallMs : this.#lastMs + stallMs - this.#clock.monotonicMs();
      if (leftMs > 0) this.#arm(leftMs);
      else this.#abort(`nothing came for ${stallMs} ms`);
    });
  }

  #abort(reason: string): void {
    this.#stall ??= reason;
    this.#controller.abort(new DOMException(reason, 'TimeoutError'));
  }
}
