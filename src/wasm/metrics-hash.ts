import { sha256 } from '@noble/hashes/sha2.js';
import { encodeUtf8 } from '../lib/bytes.ts';
import { encodeMetric } from './runtime/encode-metric.ts';

export interface MetricValue {
  readonly step: number;
  readonly name: string;
  readonly value: number;
}

/** SHA-256 over the metrics in the order in which the program gave them: the `metricsHash` of a result. */
export function computeMetricsHash(metrics: readonly MetricValue[]): Uint8Array {
  const hash = sha256.create();
  for (const metric of metrics) hash.update(encodeMetric(metric.step, encodeUtf8(metric.name), metric.value));
  return hash.digest();
}
