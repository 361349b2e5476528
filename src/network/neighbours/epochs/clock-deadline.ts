import type { Deadline } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';

/** As `createDeadline`, by an injected clock: a simulation waits in its own time. Dispose it when the wait is over. */
export function createClockDeadline(clock: Clock, timeoutMs: number, parent: AbortSignal): Deadline {
  const controller = new AbortController();
  const onParentAbort = (): void => controller.abort(parent.reason);
  if (parent.aborted) onParentAbort();
  else parent.addEventListener('abort', onParentAbort, { once: true });
  const timer = clock.schedule(timeoutMs, () => {
    controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError'));
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      parent.removeEventListener('abort', onParentAbort);
    },
  };
}
