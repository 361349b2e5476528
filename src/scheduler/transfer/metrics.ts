import type { Counter, Gauge, MetricsRegistry } from '../../telemetry/interface.ts';

export interface TransferMetrics {
  readonly running: Gauge;
  readonly ended: Counter;
  readonly bytesReceived: Counter;
  readonly bytesWasted: Counter;
  readonly sourcesEnded: Counter;
}

export function createTransferMetrics(registry: MetricsRegistry): TransferMetrics {
  const name = (text: string): string => `fogproof_transfer_${text}`;
  return {
    running: registry.gauge(name('running'), 'Blobs on their way here'),
    ended: registry.counter(name('ended_total'), 'Transfers that ended, by outcome', ['outcome']),
    bytesReceived: registry.counter(name('received_bytes_total'), 'Bytes of leaves that were right and wanted'),
    bytesWasted: registry.counter(name('wasted_bytes_total'), 'Bytes of leaves that came twice or were wrong'),
    sourcesEnded: registry.counter(name('sources_ended_total'), 'Sources that a transfer let go, by reason', [
      'reason',
    ]),
  };
}

export interface LeafServerMetrics {
  readonly bytesSent: Counter;
  readonly refused: Counter;
}

export function createLeafServerMetrics(registry: MetricsRegistry): LeafServerMetrics {
  return {
    bytesSent: registry.counter('fogproof_transfer_sent_bytes_total', 'Bytes of leaves handed out'),
    refused: registry.counter('fogproof_transfer_refused_total', 'Requests for leaves not answered', ['code']),
  };
}
