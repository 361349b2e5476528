/** Asking a daemon that faults are done to: what a fault took from under a call is asked again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDaemonError } from '../../src/lib/errors.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { ChaosNode } from './chaos-node.ts';

export const POLL_MS = 150;
/** A daemon that stands still does not answer, and its socket stays open. */
const CALL_TIMEOUT_MS = 10_000;

export interface Asking {
  readonly node: ChaosNode;
  readonly signal: AbortSignal;
}

/** Told of what an answer should not have said. */
export interface Reviewing extends Asking {
  readonly onFinding: (problem: string) => void;
}

/** Answers that say of the daemon's plight, not of what was asked: the same may be asked again. */
function mayAskAgain(error: unknown): boolean {
  if (error instanceof Error && error.name === 'TimeoutError') return true;
  if (!isDaemonError(error)) return false;
  // Its clock is minutes ahead: to it the deadline that was drafted by a right clock has passed.
  if (error.code === 'SCHEDULER_DEADLINE_PAST') return true;
  return error.retryable || error.code.startsWith('STORAGE_') || error.code.startsWith('BLOB_');
}

/** Until it is answered. @throws what an answer says that no repetition changes, the signal's reason */
export async function retry<Result>(
  { node, signal }: Asking,
  call: (client: RpcClient) => Promise<Result>,
): Promise<Result> {
  for (;;) {
    signal.throwIfAborted();
    const { client } = node;
    try {
      if (client !== undefined) return await withDeadline(call(client));
    } catch (error) {
      if (!mayAskAgain(error)) throw error;
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** As `retry`, but an answer with one of these codes is an answer. @returns the error; undefined if there was none */
export async function attempt(
  asking: Asking,
  codes: ReadonlySet<string>,
  call: (client: RpcClient) => Promise<unknown>,
): Promise<unknown> {
  try {
    await retry(asking, call);
    return undefined;
  } catch (error) {
    if (!isDaemonError(error) || !codes.has(error.code)) throw error;
    return error;
  }
}

async function withDeadline<Result>(answer: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new DOMException('no answer', 'TimeoutError')), CALL_TIMEOUT_MS);
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}
