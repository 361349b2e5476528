/**
 * telemetry owns the logger, the metrics registry and the audit log.
 * It does not own what is logged or counted: each folder declares its own in `metrics.ts`.
 */
import type { AuditEvent } from './audit/audit-entry.ts';

/** What was decided, in order, each entry chained to the one before (docs/policy.md). */
export interface AuditTrail {
  /** Costs no wait and never throws: it is on its way when this returns, and on disk within a second. */
  note(event: AuditEvent): void;
  /** All that was noted before is on disk when it resolves, unless the disk takes nothing: then that is logged. */
  flush(): Promise<void>;
}

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
