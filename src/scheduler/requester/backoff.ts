import type { Clock } from '../../lib/clock.ts';

/** Resolves after `delayMs`, or at once when the signal aborts. */
export async function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _timer = clock.schedule(delayMs, resolve);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}
