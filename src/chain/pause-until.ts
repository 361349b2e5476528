import type { Clock } from '../lib/clock.ts';
import { pause } from '../lib/pause.ts';

export interface PauseUntil {
  /** Ends the pause early. */
  readonly wake: Promise<void>;
  readonly signal: AbortSignal;
}

/** Waits until it is woken, the time is over or the signal aborts; leaves no timer and no listener behind. */
export async function pauseUntil(clock: Clock, ms: number, { wake, signal }: PauseUntil): Promise<void> {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  if (signal.aborted) return;
  signal.addEventListener('abort', end, { once: true });
  try {
    await Promise.race([wake, pause(clock, ms, controller.signal)]);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}
