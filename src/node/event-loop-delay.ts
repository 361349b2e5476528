import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Gauge, MetricsRegistry } from '../telemetry/interface.ts';

/** How often the loop is looked at, ms: 20 wake-ups a second, which a daemon at rest does not feel. */
const RESOLUTION_MS = 50;
const NS_PER_MS = 1e6;
const QUANTILES = [
  ['0.5', 50],
  ['0.99', 99],
  ['1', 100],
] as const;

/** How late the event loop comes to a timer: what every answer of the daemon waits for besides its own work. */
export class EventLoopDelay implements Disposable {
  readonly #delay: Gauge;
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor({ metrics }: { readonly metrics: MetricsRegistry }) {
    const help = 'How late the event loop was since this was last read, by quantile.';
    this.#delay = metrics.gauge('fogproof_event_loop_delay_seconds', help, ['quantile']);
  }

  start(): void {
    this.#histogram.enable();
  }

  /** Sets the metric, and begins anew. */
  report(): void {
    for (const [quantile, percent] of QUANTILES) {
      // What it counts is the time between two looks; of one that was not late that is the resolution.
      const delayMs = Math.max(0, this.#histogram.percentile(percent) / NS_PER_MS - RESOLUTION_MS);
      this.#delay.set(this.#histogram.count === 0 ? 0 : delayMs / 1_000, { quantile });
    }
    this.#histogram.reset();
  }

  [Symbol.dispose](): void {
    this.#histogram.disable();
  }
}
