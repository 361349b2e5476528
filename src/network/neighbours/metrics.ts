import type { Counter, Gauge, MetricsRegistry } from '../../telemetry/interface.ts';

export interface NeighbourMetrics {
  readonly neighbours: Gauge;
  readonly candidates: Gauge;
  readonly networkSize: Gauge;
  readonly turns: Counter;
  readonly chosen: Counter;
  readonly lost: Counter;
  readonly refusedBy: Counter;
  readonly claims: Counter;
}

export function createNeighbourMetrics(registry: MetricsRegistry): NeighbourMetrics {
  return {
    neighbours: registry.gauge('fogproof_neighbours', 'Neighbours of now', ['direction']),
    candidates: registry.gauge('fogproof_neighbour_candidates', 'Pairs of peer and VRF key in the table'),
    networkSize: registry.gauge('fogproof_neighbour_network_size', 'Nodes of the network, as estimated'),
    turns: registry.counter('fogproof_neighbour_turns_total', 'Epochs in which neighbours were drawn'),
    chosen: registry.counter('fogproof_neighbour_chosen_total', 'Peers that became outbound neighbours', ['why']),
    lost: registry.counter('fogproof_neighbour_lost_total', 'Outbound neighbours that were replaced', ['code']),
    refusedBy: registry.counter('fogproof_neighbour_refused_by_total', 'Candidates that did not become neighbours', [
      'code',
    ]),
    claims: registry.counter('fogproof_neighbour_claims_total', 'Claims of others, by what became of them', ['code']),
  };
}
