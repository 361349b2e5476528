import type { Counter, Gauge, Histogram, MetricsRegistry } from '../telemetry/interface.ts';

export interface SandboxMetrics {
  readonly tasks: Counter;
  readonly taskSeconds: Histogram;
  readonly childStarts: Counter;
  readonly childStartSeconds: Histogram;
  readonly childCrashes: Counter;
  readonly children: Gauge;
  readonly instrumented: Counter;
}

export function createSandboxMetrics(registry: MetricsRegistry): SandboxMetrics {
  return {
    tasks: registry.counter('fogproof_sandbox_tasks_total', 'Tasks by how they ended', ['outcome']),
    taskSeconds: registry.histogram('fogproof_sandbox_task_seconds', 'Wall time of a task in a child', ['isolation']),
    childStarts: registry.counter('fogproof_sandbox_child_starts_total', 'Children started', ['isolation']),
    childStartSeconds: registry.histogram('fogproof_sandbox_child_start_seconds', 'Time until a child is ready', [
      'isolation',
    ]),
    childCrashes: registry.counter('fogproof_sandbox_child_crashes_total', 'Children that ended unasked', [
      'isolation',
    ]),
    instrumented: registry.counter(
      'fogproof_sandbox_instrumented_modules_total',
      'Large modules taken instrumented from the cache, not there (none), made for it by a child, or failed',
      ['source'],
    ),
    children: registry.gauge('fogproof_sandbox_children', 'Children alive'),
  };
}
