import { describe, expect, it } from 'vitest';
import { PromMetricsRegistry } from '../../../src/telemetry/prom-metrics.ts';

describe('PromMetricsRegistry', () => {
  it('counts, sets and observes in the Prometheus text format', async () => {
    const registry = new PromMetricsRegistry();
    const counter = registry.counter('fogproof_jobs_total', 'Jobs', ['outcome']);
    counter.increment({ outcome: 'ok' });
    counter.increment({ outcome: 'ok' }, 2);
    registry.gauge('fogproof_peers', 'Peers').set(7);
    registry.histogram('fogproof_run_seconds', 'Runs', [], [1, 2]).observe(1.5);
    const text = await registry.render();
    expect(text).toContain('fogproof_jobs_total{outcome="ok"} 3');
    expect(text).toContain('fogproof_peers 7');
    expect(text).toContain('fogproof_run_seconds_bucket{le="1"} 0');
    expect(text).toContain('fogproof_run_seconds_bucket{le="2"} 1');
    expect(text).toMatch(/fogproof_process_resident_memory_bytes [1-9]/);
  });

  it('gives the same metric for the same name, and refuses it as another kind', async () => {
    const registry = new PromMetricsRegistry();
    registry.counter('fogproof_x_total', 'X').increment();
    registry.counter('fogproof_x_total', 'X').increment();
    expect(await registry.render()).toContain('fogproof_x_total 2');
    expect(() => registry.gauge('fogproof_x_total', 'X')).toThrow('another kind');
  });

  it('keeps two registries apart', async () => {
    const [one, two] = [new PromMetricsRegistry(), new PromMetricsRegistry()];
    one.counter('fogproof_x_total', 'X').increment();
    expect(await two.render()).not.toContain('fogproof_x_total');
  });
});
