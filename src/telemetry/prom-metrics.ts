import * as prom from 'prom-client';
import { UsageError } from '../lib/errors.ts';
import { DURATION_BUCKETS } from './constants.ts';
import type { Counter, Gauge, Histogram, MetricsRegistry } from './interface.ts';

type Labels = Readonly<Record<string, string>>;

/** Metrics in the Prometheus text format. The same name asked for twice is the same metric. */
export class PromMetricsRegistry implements MetricsRegistry {
  readonly #registry = new prom.Registry();

  counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    const metric = this.#getOrCreate(
      name,
      prom.Counter,
      () => new prom.Counter(this.#describe(name, help, labelNames)),
    );
    return { increment: (labels: Labels = {}, by = 1) => metric.inc(labels, by) };
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge {
    const metric = this.#getOrCreate(name, prom.Gauge, () => new prom.Gauge(this.#describe(name, help, labelNames)));
    return { set: (value: number, labels: Labels = {}) => metric.set(labels, value) };
  }

  histogram(
    name: string,
    help: string,
    labelNames: readonly string[] = [],
    buckets: readonly number[] = DURATION_BUCKETS,
  ): Histogram {
    const create = (): prom.Histogram =>
      new prom.Histogram({ ...this.#describe(name, help, labelNames), buckets: [...buckets] });
    const metric = this.#getOrCreate(name, prom.Histogram, create);
    return { observe: (value: number, labels: Labels = {}) => metric.observe(labels, value) };
  }

  /** Adds memory and CPU time of the process, read when they are asked for: nothing runs in between. */
  async render(): Promise<string> {
    const memory = this.gauge('fogproof_process_resident_memory_bytes', 'Resident memory of the daemon.');
    memory.set(process.memoryUsage.rss());
    const heap = this.gauge('fogproof_process_heap_bytes', "What of the daemon's JavaScript heap is in use.");
    heap.set(process.memoryUsage().heapUsed);
    const cpu = this.gauge('fogproof_process_cpu_seconds', 'CPU time that the daemon has used.');
    const { user, system } = process.cpuUsage();
    cpu.set((user + system) / 1e6);
    return this.#registry.metrics();
  }

  #describe(name: string, help: string, labelNames: readonly string[]) {
    return { name, help, labelNames: [...labelNames], registers: [this.#registry] };
  }

  #getOrCreate<Metric extends prom.Metric>(
    name: string,
    kind: abstract new (...parameters: never[]) => Metric,
    create: () => Metric,
  ): Metric {
    const existing: unknown = this.#registry.getSingleMetric(name);
    if (existing === undefined) return create();
    if (existing instanceof kind) return existing;
    throw new UsageError(`the metric ${name} was declared as another kind`, 'Give each metric its own name.');
  }
}
