/** Every function that does I/O takes this last and passes it on. */
export interface AbortOptions {
  readonly signal?: AbortSignal;
}

export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * A signal that aborts with `parent` or after `timeoutMs`, whichever is first. Dispose it when the wait is over:
 * composed signals that are never cleared leak listeners on long-lived parents.
 */
export function createDeadline(timeoutMs: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const onParentAbort = (): void => controller.abort(parent?.reason);
  if (parent?.aborted === true) onParentAbort();
  else parent?.addEventListener('abort', onParentAbort, { once: true });
  const timer = setTimeout(() => {
    controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError'));
  }, timeoutMs);
  timer.unref?.();
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParentAbort);
    },
  };
}

/** Settles as `promise` does, or rejects with the signal's reason as soon as it aborts. */
export async function raceSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  using _waiter = onAbortOf(signal, () => reject(signal.reason));
  return await Promise.race([promise, aborted]);
}

interface Waiters {
  readonly callbacks: Set<() => void>;
  readonly onAbort: () => void;
}

const waitersOf = new WeakMap<AbortSignal, Waiters>();

/**
 * Calls back when the signal aborts. One listener serves all who wait on a signal: an event target looks through its
 * listeners for each that is added or removed, so thousands of waits on one connection took their number squared.
 */
function onAbortOf(signal: AbortSignal, callback: () => void): Disposable {
  const waiters = waitersOf.get(signal) ?? listenTo(signal);
  waiters.callbacks.add(callback);
  return {
    [Symbol.dispose]: () => {
      waiters.callbacks.delete(callback);
      if (waiters.callbacks.size > 0 || waitersOf.get(signal) !== waiters) return;
      waitersOf.delete(signal);
      signal.removeEventListener('abort', waiters.onAbort);
    },
  };
}

function listenTo(signal: AbortSignal): Waiters {
  const callbacks = new Set<() => void>();
  const onAbort = (): void => {
    for (const callback of callbacks) callback();
  };
  const waiters = { callbacks, onAbort };
  waitersOf.set(signal, waiters);
  signal.addEventListener('abort', onAbort, { once: true });
  return waiters;
}
