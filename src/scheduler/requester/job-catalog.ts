import type { JobId } from '../../domain/ids.ts';
import type { SchedulerError } from '../errors.ts';
import type { JobState } from '../interface.ts';

interface CatalogEntry {
  readonly createdAtMs: number;
  /** Null while it is active: its run knows. */
  readonly ended: JobState | null;
}

/** Every job of this node in memory, as far as listing needs it: some 300 bytes each. */
export class JobCatalog {
  readonly #entries = new Map<JobId, CatalogEntry>();
  /** Entries of the store that cannot be read, by the job that they belong to. */
  readonly corrupt = new Map<JobId, SchedulerError>();
  #newestFirst: JobId[] | undefined;

  get size(): number {
    return this.#entries.size;
  }

  has(job: JobId): boolean {
    return this.#entries.has(job);
  }

  add(job: JobId, createdAtMs: number, ended: JobState | null = null): void {
    this.#entries.set(job, { createdAtMs, ended });
    this.#newestFirst = undefined;
  }

  remove(job: JobId): void {
    this.#entries.delete(job);
    this.#newestFirst = undefined;
  }

  end(job: JobId, state: JobState): void {
    const entry = this.#entries.get(job);
    if (entry !== undefined) this.#entries.set(job, { ...entry, ended: state });
  }

  /** Terminal state of a job; null while it is active. */
  ended(job: JobId): JobState | null {
    return this.#entries.get(job)?.ended ?? null;
  }

  /** Of equal times, the one submitted last comes first. */
  newestFirst(): readonly JobId[] {
    this.#newestFirst ??= [...this.#entries]
      .reverse()
      .sort(([, a], [, b]) => b.createdAtMs - a.createdAtMs)
      .map(([job]) => job);
    return this.#newestFirst;
  }
}
