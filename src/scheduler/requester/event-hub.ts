import type { JobId } from '../../domain/ids.ts';
import { FOLLOWER_BUFFER_EVENTS } from '../constants.ts';
import type { JobEvent } from '../interface.ts';

/** A job event with its place in the record, so that a follower can tell what it has read from the store already. */
export interface PlacedEvent {
  readonly event: JobEvent;
  /** Number of the history event behind it; for logs and metrics the provider's event sequence. */
  readonly sequence: number;
}

/** Live events of one job for one follower. A slow one loses logs and metrics beyond the buffer, never states. */
export class JobFollower implements Disposable {
  readonly #leave: () => void;
  #buffer: PlacedEvent[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  push(placed: PlacedEvent): void {
    const isDroppable = placed.event.kind === 'log' || placed.event.kind === 'metric';
    if (isDroppable && this.#buffer.length >= FOLLOWER_BUFFER_EVENTS) return;
    this.#buffer.push(placed);
    this.#wake?.();
  }

  /** Ends the iteration once what is buffered has been read. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  async *entries(signal: AbortSignal): AsyncGenerator<PlacedEvent> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const batch = this.#buffer;
        this.#buffer = [];
        yield* batch;
        if (this.#buffer.length > 0) continue;
        if (this.#isClosed) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        if (!signal.aborted) await promise;
        this.#wake = undefined;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  [Symbol.dispose](): void {
    this.#leave();
  }
}

/** Who follows which job. */
export class JobEventHub {
  readonly #followers = new Map<JobId, Set<JobFollower>>();

  follow(job: JobId): JobFollower {
    const followers = this.#followers.get(job) ?? new Set();
    this.#followers.set(job, followers);
    const follower = new JobFollower(() => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(job) === followers) this.#followers.delete(job);
    });
    followers.add(follower);
    return follower;
  }

  isFollowed(job: JobId): boolean {
    return this.#followers.has(job);
  }

  publish(job: JobId, placed: PlacedEvent): void {
    for (const follower of this.#followers.get(job) ?? []) follower.push(placed);
  }

  closeAll(): void {
    for (const followers of this.#followers.values()) {
      for (const follower of followers) follower.close();
    }
  }
}
