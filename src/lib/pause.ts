import type { Clock } from './clock.ts';

/** Waits, or returns early when the signal aborts. */
export async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = (): void => resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  using _timer = clock.schedule(delayMs, resolve);
  await promise;
  signal.removeEventListener('abort', onAbort);
}
