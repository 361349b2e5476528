import type { Counter, MetricsRegistry } from '../../telemetry/interface.ts';

export interface SnapshotFetchMetrics {
  readonly fetches: Counter;
  readonly movedBytes: Counter;
}

export function createSnapshotFetchMetrics(registry: MetricsRegistry): SnapshotFetchMetrics {
  return {
    fetches: registry.counter('fogproof_snapshot_fetches_total', 'Snapshots fetched from peers, by outcome', [
      'outcome',
    ]),
    movedBytes: registry.counter('fogproof_snapshot_fetched_bytes_total', 'Bytes of snapshots that peers sent'),
  };
}
