import type { Counter, Gauge, Histogram, MetricsRegistry } from '../telemetry/interface.ts';

export interface EndpointMetrics {
  readonly requests: Counter;
  readonly failures: Counter;
  readonly failovers: Counter;
  readonly disagreements: Counter;
  readonly latency: Histogram;
}

const LATENCY_BUCKETS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createEndpointMetrics(registry: MetricsRegistry): EndpointMetrics {
  return {
    requests: registry.counter('fogproof_chain_requests_total', 'Requests to RPC endpoints, by method', ['method']),
    failures: registry.counter('fogproof_chain_failures_total', 'Requests that gave nothing usable, by code', ['code']),
    failovers: registry.counter('fogproof_chain_failovers_total', 'Calls answered by a later endpoint than the first'),
    disagreements: registry.counter(
      'fogproof_chain_disagreements_total',
      'Contradictions between RPC endpoints: neither was believed',
    ),
    latency: registry.histogram(
      'fogproof_chain_request_seconds',
      'Time until an RPC endpoint answered',
      [],
      LATENCY_BUCKETS,
    ),
  };
}

export interface JournalMetrics {
  readonly open: Gauge;
  readonly sent: Counter;
  readonly ended: Counter;
  readonly expired: Counter;
  readonly rolledBack: Counter;
  readonly feeLamports: Counter;
}

export function createJournalMetrics(registry: MetricsRegistry): JournalMetrics {
  return {
    open: registry.gauge('fogproof_chain_transactions_open', 'Transactions that are not terminal'),
    sent: registry.counter(
      'fogproof_chain_sent_total',
      'Transactions given to endpoints, by whether for the first time',
      ['kind'],
    ),
    ended: registry.counter('fogproof_chain_transactions_total', 'Transactions that ended, by state', ['state']),
    expired: registry.counter('fogproof_chain_expired_total', 'Signed transactions that provably never landed'),
    rolledBack: registry.counter('fogproof_chain_rolled_back_total', 'Confirmed transactions that a fork took back'),
    feeLamports: registry.counter('fogproof_chain_fees_lamports_total', 'Lamports paid as fees for final transactions'),
  };
}

export interface FollowMetrics {
  readonly transactions: Counter;
  readonly subscriptionsLost: Counter;
}

export function createFollowMetrics(registry: MetricsRegistry): FollowMetrics {
  return {
    transactions: registry.counter('fogproof_chain_followed_total', 'Transactions of followed addresses handled'),
    subscriptionsLost: registry.counter('fogproof_chain_subscriptions_lost_total', 'WebSocket subscriptions lost'),
  };
}
