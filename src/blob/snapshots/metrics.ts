import type { Counter, Gauge, MetricsRegistry } from '../../telemetry/interface.ts';

export interface SnapshotMetrics {
  readonly bytes: Gauge;
  readonly snapshots: Gauge;
  readonly items: Gauge;
  readonly packs: Gauge;
  readonly written: Counter;
  readonly shared: Counter;
  readonly compacted: Counter;
  readonly refused: Counter;
}

export function createSnapshotMetrics(registry: MetricsRegistry): SnapshotMetrics {
  const name = (text: string): string => `fogproof_snapshot_${text}`;
  return {
    bytes: registry.gauge(name('bytes'), 'Bytes of snapshots on disk'),
    snapshots: registry.gauge(name('count'), 'Snapshots on disk'),
    items: registry.gauge(name('items'), 'Pieces of snapshots on disk'),
    packs: registry.gauge(name('packs'), 'Files of snapshots on disk'),
    written: registry.counter(name('written_bytes_total'), 'Bytes of pieces written for new snapshots'),
    shared: registry.counter(name('shared_bytes_total'), 'Bytes of pieces that new snapshots found here'),
    compacted: registry.counter(
      name('compacted_bytes_total'),
      'Bytes of pieces copied to free the rest of their files',
    ),
    refused: registry.counter(name('refused_total'), 'Snapshots not taken or found damaged, by code', ['code']),
  };
}
