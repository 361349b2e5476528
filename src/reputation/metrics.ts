import type { Counter, Gauge, MetricsRegistry } from '../telemetry/interface.ts';

export interface ReputationMetrics {
  readonly observations: Gauge;
  readonly judged: Counter;
  readonly recorded: Counter;
  readonly published: Counter;
  readonly folded: Counter;
}

export function createReputationMetrics(registry: MetricsRegistry): ReputationMetrics {
  return {
    observations: registry.gauge('fogproof_reputation_observations', 'Observations that count and are kept'),
    judged: registry.counter('fogproof_reputation_judged_total', 'Observations of others, by verdict', [
      'source',
      'verdict',
      'code',
    ]),
    recorded: registry.counter('fogproof_reputation_recorded_total', 'Own observations signed and stored'),
    published: registry.counter('fogproof_reputation_published_total', 'Own observations published'),
    folded: registry.counter('fogproof_reputation_folded_total', 'Observations folded into the sums of their subject'),
  };
}
