import type { Counter, Gauge, Histogram, MetricsRegistry } from './interface.ts';

/** Counts nothing. */
export class NoopMetricsRegistry implements MetricsRegistry {
  counter(): Counter {
    return { increment: () => {} };
  }
  gauge(): Gauge {
    return { set: () => {} };
  }
  histogram(): Histogram {
    return { observe: () => {} };
  }
  async render(): Promise<string> {
    return '';
  }
}
