import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, encodeUtf8 } from '../lib/bytes.ts';
import { encodeMetric } from './runtime/encode-metric.ts';

export interface MetricValue {
  readonly step: number;
  readonly name: string;
  readonly value: number;
}

/**
 * The `metricsHash` of a result, from its metrics in the order in which the program gave them: m_0 = SHA-256 of no bytes,
 * m_k = SHA-256(m_{k-1} ‖ metric_k) (docs/stepping.md section 3.4).
 */
export function computeMetricsHash(metrics: readonly MetricValue[]): Uint8Array {
  return metrics.reduce(
    (head, metric) => sha256(concatBytes(head, encodeMetric(metric.step, encodeUtf8(metric.name), metric.value))),
    sha256(new Uint8Array(0)),
  );
}
