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
});
