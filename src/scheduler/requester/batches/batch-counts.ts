import type { JobId, UnixMs } from '../../../domain/ids.ts';
import type { JobState, JobView } from '../../interface.ts';

/** Codes of failures that are counted apart; further ones are counted together. */
const MAX_FAILURE_CODES = 32;
const OTHER_FAILURES = 'OTHER';

export type EndedView = Pick<JobView, 'job' | 'state' | 'endedAtMs' | 'failure'>;

/** How the jobs of one batch stand: ended ones as numbers, active ones by name. */
export class BatchCounts {
  readonly active = new Set<JobId>();
  readonly ended = new Map<JobState, number>();
  readonly failures = new Map<string, number>();
  /** When the last of those that have ended did. */
  lastEndedAtMs: UnixMs | null = null;
  #endedCount = 0;

  get submitted(): number {
    return this.active.size + this.#endedCount;
  }

  end({ job, state, endedAtMs, failure }: EndedView): void {
    this.active.delete(job);
    this.#endedCount += 1;
    increment(this.ended, state);
    if (failure !== null) increment(this.failures, this.#nameFailure(failure.code));
    if (endedAtMs !== null && endedAtMs > (this.lastEndedAtMs ?? 0)) this.lastEndedAtMs = endedAtMs;
  }

  #nameFailure(code: string): string {
    return this.failures.has(code) || this.failures.size < MAX_FAILURE_CODES ? code : OTHER_FAILURES;
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
