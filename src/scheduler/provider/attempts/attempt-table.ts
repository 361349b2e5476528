import { LRUCache } from 'lru-cache';
import type { LeaseId } from '../../../domain/ids.ts';
import { MAX_ENDED_LOGS } from '../constants.ts';
import type { Attempt } from './attempt.ts';
import type { EventLog } from './event-log.ts';

/** Attempts that have not ended, and for a while the events of those that have. */
export class AttemptTable {
  readonly #live = new Map<LeaseId, Attempt>();
  readonly #endedLogs = new LRUCache<LeaseId, EventLog>({ max: MAX_ENDED_LOGS });

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
    this.#endedLogs.set(attempt.id, attempt.log);
  }

  endedLog(lease: LeaseId): EventLog | undefined {
    return this.#endedLogs.get(lease);
  }

  forgetLogs(leases: readonly LeaseId[]): void {
    for (const lease of leases) this.#endedLogs.delete(lease);
  }
}
