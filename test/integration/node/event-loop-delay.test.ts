import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { EventLoopDelay } from '../../../src/node/event-loop-delay.ts';
import { PromMetricsRegistry } from '../../../src/telemetry/prom-metrics.ts';

/** In seconds, by quantile. */
async function readDelays(metrics: PromMetricsRegistry): Promise<ReadonlyMap<string, number>> {
  const found = (await metrics.render()).matchAll(/^fogproof_event_loop_delay_seconds\{quantile="([^"]+)"\} (\S+)$/gm);
  return new Map([...found].map(([, quantile = '', value]) => [quantile, Number(value)]));
}

it('tells how long the event loop was held up, and forgets it when it was read', async () => {
  const metrics = new PromMetricsRegistry();
  using delay = new EventLoopDelay({ metrics });
  delay.report();
  expect([...(await readDelays(metrics))]).toEqual([
    ['0.5', 0],
    ['0.99', 0],
    ['1', 0],
  ]);
  delay.start();
  // The first look is at the time to which the others are held.
  await sleep(150);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  await sleep(150);
  delay.report();
  const delays = await readDelays(metrics);
  expect(delays.get('1')).toBeGreaterThan(1.8);
  expect(delays.get('0.5')).toBeLessThan(1);
  delay.report();
  expect((await readDelays(metrics)).get('1')).toBeLessThan(1.8);
});
