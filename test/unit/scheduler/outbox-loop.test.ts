import { describe, expect, it } from 'vitest';
import { OutboxLoop } from '../../../src/scheduler/outbox-loop.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** An outbox whose batches hold two entries. */
function createLoop(delayMs: number) {
  const clock = new ManualClock();
  const outbox: string[] = [];
  const batches: string[][] = [];
  const faults: Error[] = [];
  const handOver = async (): Promise<boolean> => {
    const fault = faults.shift();
    if (fault !== undefined) throw fault;
    const batch = outbox.splice(0, 2);
    if (batch.length > 0) batches.push(batch);
    return batch.length === 2;
  };
  const loop = new OutboxLoop({ clock, logger: new NoopLogger(), handOver }, { delayMs, failure: 'not handed over' });
  const add = (...entries: string[]): void => {
    outbox.push(...entries);
    loop.wake();
  };
  return { clock, loop, batches, faults, add };
}

describe('an outbox that gathers', () => {
  it('hands over what came in its time together, in batches, and then waits again', async () => {
    const { clock, loop, batches, add } = createLoop(1_000);
    loop.start();
    add('a');
    await clock.advance(999);
    add('b', 'c');
    expect(batches).toEqual([]);
    expect(loop.dueAtMs).toBe(clock.nowMs() + 1);
    await clock.advance(1);
    expect(batches).toEqual([['a', 'b'], ['c']]);
    add('d');
    await clock.advance(1_000);
    expect(batches).toHaveLength(3);
  });

  it('does so at once when it is settled, and leaves no timer when it stops', async () => {
    const { clock, loop, batches, add } = createLoop(1_000);
    loop.start();
    add('a');
    await loop.settle();
    expect(batches).toEqual([['a']]);
    add('b');
    await loop.stop();
    expect(clock.pending).toBe(0);
    await loop.settle();
    expect(batches).toEqual([['a']]);
    loop.start();
    await clock.advance(1_000);
    expect(batches).toEqual([['a'], ['b']]);
  });
});

describe('an outbox that does not', () => {
  it('hands over at once, also what comes while it works', async () => {
    const { loop, batches, add } = createLoop(0);
    add('before');
    loop.start();
    add('during');
    await loop.settle();
    expect(batches.flat()).toEqual(['before', 'during']);
  });
});

it.each([0, 1_000])('tries again some time after a failure, whatever it gathers (%d ms)', async (delayMs) => {
  const { clock, loop, batches, faults, add } = createLoop(delayMs);
  faults.push(new Error('no room'));
  loop.start();
  add('a');
  await clock.advance(delayMs);
  expect(batches).toEqual([]);
  await clock.advance(9_999);
  expect(batches).toEqual([]);
  await clock.advance(1);
  expect(batches).toEqual([['a']]);
  await loop.stop();
  expect(clock.pending).toBe(0);
});
