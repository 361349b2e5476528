import type { Counter, Gauge, Histogram, MetricsRegistry } from '../../telemetry/interface.ts';

export interface ProviderMetrics {
  readonly offers: Counter;
  readonly refusals: Counter;
  readonly leases: Counter;
  readonly attempts: Counter;
  readonly attemptSeconds: Histogram;
  readonly usedSlots: Gauge;
  readonly droppedEvents: Counter;
  readonly misbehaviour: Counter;
}

export function createProviderMetrics(registry: MetricsRegistry): ProviderMetrics {
  return {
    offers: registry.counter('fogproof_provider_offers_total', 'Offers made'),
    refusals: registry.counter('fogproof_provider_refusals_total', 'Offer and lease requests refused', ['code']),
    leases: registry.counter('fogproof_provider_leases_total', 'Leases countersigned'),
    attempts: registry.counter('fogproof_provider_attempts_total', 'Attempts ended, by kind of outcome', ['outcome']),
    attemptSeconds: registry.histogram('fogproof_provider_attempt_seconds', 'Time from lease to end of an attempt'),
    usedSlots: registry.gauge(
      'fogproof_provider_used_slots',
      'Slots reserved or running, as of the last start or end of an attempt',
    ),
    droppedEvents: registry.counter(
      'fogproof_provider_dropped_events_total',
      'Logs, metrics and progress dropped from full buffers',
    ),
    misbehaviour: registry.counter('fogproof_provider_misbehaviour_total', 'Requests that break a rule', ['code']),
  };
}
