import { getEventListeners } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createDeadline, raceSignal } from '../../../src/lib/abort.ts';

describe('createDeadline', () => {
  it('aborts with its parent and passes the reason on', () => {
    const parent = new AbortController();
    using deadline = createDeadline(60_000, parent.signal);
    const reason = new Error('stopping');
    parent.abort(reason);
    expect(deadline.signal.reason).toBe(reason);
  });

  it('is aborted at once if its parent is', () => {
    using deadline = createDeadline(60_000, AbortSignal.abort('over'));
    expect(deadline.signal.aborted).toBe(true);
  });

  it('aborts with a TimeoutError when the time is over', async () => {
    const deadline = createDeadline(1);
    onTestFinished(() => deadline[Symbol.dispose]());
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const hold = setInterval(() => undefined, 1_000);
    onTestFinished(() => clearInterval(hold));
    deadline.signal.addEventListener('abort', () => resolve(deadline.signal.reason));
    expect(await promise).toMatchObject({ name: 'TimeoutError' });
  });

  it('does nothing after it was disposed', () => {
    const parent = new AbortController();
    const deadline = createDeadline(60_000, parent.signal);
    deadline[Symbol.dispose]();
    parent.abort();
    expect(deadline.signal.aborted).toBe(false);
  });
});

describe('raceSignal', () => {
  it('gives the value, or the reason of an abort that comes first', async () => {
    const controller = new AbortController();
    expect(await raceSignal(Promise.resolve(1), controller.signal)).toBe(1);
    const never = raceSignal(new Promise<never>(() => undefined), controller.signal);
    controller.abort(new Error('stop'));
    await expect(never).rejects.toThrow('stop');
    await expect(raceSignal(Promise.resolve(1), controller.signal)).rejects.toThrow('stop');
  });

  it('listens once for all who wait on a signal, and no longer than one of them does', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const { promise: first, resolve } = Promise.withResolvers<number>();
    const { promise: never } = Promise.withResolvers<number>();
    const waits = [raceSignal(first, signal), raceSignal(never, signal), raceSignal(never, signal)];
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    resolve(1);
    expect(await waits[0]).toBe(1);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort(new Error('stopping'));
    const ends = await Promise.allSettled(waits.slice(1));
    expect(ends).toMatchObject([{ reason: { message: 'stopping' } }, { reason: { message: 'stopping' } }]);

    const other = new AbortController();
    await raceSignal(first, other.signal);
    expect(getEventListeners(other.signal, 'abort')).toHaveLength(0);
    const again = raceSignal(never, other.signal);
    other.abort('over');
    await expect(again).rejects.toBe('over');
  });
});
