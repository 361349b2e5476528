import type { Counter, Gauge, Histogram, MetricsRegistry } from '../../telemetry/interface.ts';

export interface AnchoringMetrics {
  readonly leaves: Counter;
  readonly refused: Counter;
  readonly waiting: Gauge;
  readonly batches: Counter;
  readonly problems: Counter;
  readonly adopted: Counter;
  readonly finality: Histogram;
}

const FINALITY_BUCKETS = [1, 5, 15, 30, 60, 300, 1_800, 7_200];

export function createAnchoringMetrics(registry: MetricsRegistry): AnchoringMetrics {
  return {
    leaves: registry.counter('fogproof_anchor_leaves_total', 'Leaves taken to be anchored, by kind', ['kind']),
    refused: registry.counter('fogproof_anchor_refused_total', 'Calls that were refused, by code', ['code']),
    waiting: registry.gauge('fogproof_anchor_waiting_leaves', 'Leaves that are not final yet'),
    batches: registry.counter('fogproof_anchor_batches_total', 'Batches that reached a state', ['state']),
    problems: registry.counter('fogproof_anchor_problems_total', 'Attempts to anchor that failed, by code', ['code']),
    adopted: registry.counter('fogproof_anchor_adopted_total', 'Roots that were found in the log already'),
    finality: registry.histogram(
      'fogproof_anchor_finality_seconds',
      'From sealing a batch until its transaction is final',
      [],
      FINALITY_BUCKETS,
    ),
  };
}
