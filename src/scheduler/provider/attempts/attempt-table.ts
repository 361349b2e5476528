import { LRUCache } from 'lru-cache';
import type { LeaseId, PeerKey } from '../../../domain/ids.ts';
import { EVENT_OVERHEAD_BYTES, MAX_ENDED_LOG_BYTES, MAX_ENDED_LOGS } from '../constants.ts';
import type { Attempt } from './attempt.ts';
import type { EventLog } from './event-log.ts';

/** Attempts that have not ended, and for a while the events of those that have. */
export class AttemptTable {
  readonly #live = new Map<LeaseId, Attempt>();
  readonly #ended = new LRUCache<LeaseId, { readonly log: EventLog; readonly requester: PeerKey }>({
    max: MAX_ENDED_LOGS,
    maxSize: MAX_ENDED_LOG_BYTES,
    sizeCalculation: ({ log }) => log.sizeBytes + EVENT_OVERHEAD_BYTES,
  });

  add(attempt: Attempt): void {
    this.#live.set(attempt.id, attempt);
  }

  get(lease: LeaseId): Attempt | undefined {
    return this.#live.get(lease);
  }

  live(): Iterable<Attempt> {
    return this.#live.values();
  }

  get size(): number {
    return this.#live.size;
  }

  remove(attempt: Attempt): void {
    this.#live.delete(attempt.id);
  }

  /** Keeps the events of an ended attempt for `attach`. */
  keepLog(attempt: Attempt): void {
    this.#ended.set(attempt.id, { log: attempt.log, requester: attempt.requester });
  }

  endedLog(lease: LeaseId): EventLog | undefined {
    return this.#ended.get(lease)?.log;
  }

  /** Whose attempt it was; undefined if it ended too long ago to be remembered. */
  endedRequester(lease: LeaseId): PeerKey | undefined {
    return this.#ended.get(lease)?.requester;
  }

  forgetLogs(leases: readonly LeaseId[]): void {
    for (const lease of leases) this.#ended.delete(lease);
  }
}
