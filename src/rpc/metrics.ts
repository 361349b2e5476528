import type { Counter, Gauge, Histogram, MetricsRegistry } from '../telemetry/interface.ts';

export interface RpcMetrics {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly connections: Gauge;
  readonly dropped: Counter;
}

/** Labels `method` hold names from the table, or `unknown`: never what a client made up. */
export function createRpcMetrics(registry: MetricsRegistry): RpcMetrics {
  return {
    requests: registry.counter('fogproof_rpc_requests_total', 'Requests on the control socket', ['method', 'outcome']),
    duration: registry.histogram('fogproof_rpc_request_seconds', 'From request to answer', ['method']),
    connections: registry.gauge('fogproof_rpc_connections', 'Open connections of the control socket'),
    dropped: registry.counter('fogproof_rpc_dropped_total', 'Connections dropped by the daemon', ['reason']),
  };
}
