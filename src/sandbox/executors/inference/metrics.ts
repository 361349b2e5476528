import type { Counter, MetricsRegistry } from '../../../telemetry/interface.ts';

export interface InferenceMetrics {
  readonly items: Counter;
  readonly calls: Counter;
  readonly rows: Counter;
}

export function createInferenceMetrics(registry: MetricsRegistry): InferenceMetrics {
  return {
    items: registry.counter(
      'fogproof_inference_items_total',
      'Items of models answered: run, or from the result cache',
      ['source'],
    ),
    calls: registry.counter('fogproof_inference_calls_total', 'Calls of models'),
    rows: registry.counter('fogproof_inference_rows_total', 'Rows of these calls: over the calls, the mean batch'),
  };
}
