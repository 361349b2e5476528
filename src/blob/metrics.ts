import type { Counter, Gauge, MetricsRegistry } from '../telemetry/interface.ts';

export interface BlobMetrics {
  readonly bytes: Gauge;
  readonly blobs: Gauge;
  readonly reads: Counter;
  readonly evicted: Counter;
  readonly refused: Counter;
  readonly receptions: Gauge;
  readonly leaves: Counter;
}

export function createBlobMetrics(registry: MetricsRegistry): BlobMetrics {
  return {
    bytes: registry.gauge(
      'fogproof_blob_bytes',
      'Room on disk that blobs take, those that arrive with their full size',
    ),
    blobs: registry.gauge('fogproof_blob_count', 'Blobs on disk'),
    reads: registry.counter('fogproof_blob_reads_total', 'Blobs read, by where they were', ['from']),
    evicted: registry.counter('fogproof_blob_evicted_total', 'Blobs removed to make room'),
    refused: registry.counter('fogproof_blob_refused_total', 'Blobs not taken or found damaged, by code', ['code']),
    receptions: registry.gauge('fogproof_blob_receptions', 'Blobs of which a part is on disk'),
    leaves: registry.counter('fogproof_blob_leaves_total', 'Leaves of blobs received and checked'),
  };
}
