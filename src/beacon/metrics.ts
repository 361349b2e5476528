import type { Counter, Gauge, MetricsRegistry } from '../telemetry/interface.ts';

export interface BeaconMetrics {
  readonly latestRound: Gauge;
  readonly rounds: Counter;
}

export function createBeaconMetrics(registry: MetricsRegistry): BeaconMetrics {
  return {
    latestRound: registry.gauge('fogproof_beacon_latest_round', 'Newest beacon round whose value is known'),
    rounds: registry.counter('fogproof_beacon_rounds_total', 'Beacon rounds asked of the chain, by outcome', [
      'outcome',
    ]),
  };
}
