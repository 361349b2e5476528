import type { Counter, Gauge, Histogram, MetricsRegistry } from '../telemetry/interface.ts';

/** Request durations in seconds: from a round trip on one machine to the longest deadline. */
const REQUEST_BUCKETS = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 15] as const;

export interface NetworkMetrics {
  readonly connections: Gauge;
  readonly knownPeers: Gauge;
  readonly dials: Counter;
  readonly streamsOpened: Counter;
  readonly requestSeconds: Histogram;
  readonly requestFailures: Counter;
  readonly handlerErrors: Counter;
  readonly violations: Counter;
  readonly bans: Counter;
  readonly gossipVerdicts: Counter;
  readonly announcementsPublished: Counter;
  readonly records: Counter;
  readonly ownIdentitySeen: Counter;
  readonly routesRefused: Counter;
}

export function createNetworkMetrics(registry: MetricsRegistry): NetworkMetrics {
  return {
    connections: registry.gauge('fogproof_network_connections', 'Open connections'),
    knownPeers: registry.gauge('fogproof_network_known_peers', 'Peers in the book'),
    dials: registry.counter('fogproof_network_dials_total', 'Dials by source and outcome', ['source', 'outcome']),
    streamsOpened: registry.counter('fogproof_network_streams_opened_total', 'Kept streams opened', [
      'protocol',
      'direction',
    ]),
    requestSeconds: registry.histogram(
      'fogproof_network_request_seconds',
      'Time from a request to its (only) response',
      ['protocol'],
      REQUEST_BUCKETS,
    ),
    requestFailures: registry.counter('fogproof_network_request_failures_total', 'Requests that failed, by code', [
      'protocol',
      'code',
    ]),
    handlerErrors: registry.counter('fogproof_network_handler_errors_total', 'Requests that our handler refused', [
      'protocol',
    ]),
    violations: registry.counter('fogproof_network_violations_total', 'Breaches of a protocol by peers', [
      'protocol',
      'violation',
    ]),
    bans: registry.counter('fogproof_network_bans_total', 'Peers disconnected for their penalties'),
    gossipVerdicts: registry.counter('fogproof_network_gossip_verdicts_total', 'Judged gossip messages', [
      'topic',
      'verdict',
      'code',
    ]),
    announcementsPublished: registry.counter(
      'fogproof_network_announcements_published_total',
      'Own announcements of jobs published',
      ['topic'],
    ),
    records: registry.counter('fogproof_network_records_total', 'Judged node records', ['source', 'verdict', 'code']),
    routesRefused: registry.counter(
      'fogproof_network_routes_refused_total',
      'Peers kept out of the routing table because many of their address group are in it',
    ),
    ownIdentitySeen: registry.counter('fogproof_network_own_identity_seen_total', 'Signs of another daemon like us', [
      'sign',
    ]),
  };
}
