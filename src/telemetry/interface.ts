/**
 * telemetry owns the logger and the metrics registry.
 * It does not own what is logged or counted: each folder declares its own in `metrics.ts`.
 */
export interface LogFields {
  readonly [field: string]: unknown;
}

/** Event first in fields, sentence second: `log.info({ jobId }, 'job started')`. Secrets are redacted by key. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  fatal(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

export interface Counter {
  increment(labels?: Readonly<Record<string, string>>, by?: number): void;
}

export interface Gauge {
  set(value: number, labels?: Readonly<Record<string, string>>): void;
}

export interface Histogram {
  observe(value: number, labels?: Readonly<Record<string, string>>): void;
}

/** Names end in `_total`, `_seconds`, `_bytes`; labels are low-cardinality: never a peer or a job. */
export interface MetricsRegistry {
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  gauge(name: string, help: string, labelNames?: readonly string[]): Gauge;
  histogram(name: string, help: string, labelNames?: readonly string[], buckets?: readonly number[]): Histogram;
  /** Prometheus text format. */
  render(): Promise<string>;
}
