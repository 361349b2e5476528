import type { JobId, PeerKey } from '../../domain/ids.ts';
import { JOB, type Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import { SchedulerError } from '../errors.ts';
import type { EndRecord } from '../job-records.ts';
import type { JobStore } from '../job-store.ts';
import type { JobCatalog } from './job-catalog.ts';

/** Jobs that nobody runs: what the store has of them, or why it has nothing. */
export class JobArchive {
  readonly #modules: {
    readonly store: Pick<JobStore, 'loadRecord' | 'loadEnd'>;
    readonly catalog: JobCatalog;
    /** This node: it signed them. */
    readonly self: PeerKey;
  };

  constructor(modules: {
    readonly store: Pick<JobStore, 'loadRecord' | 'loadEnd'>;
    readonly catalog: JobCatalog;
    readonly self: PeerKey;
  }) {
    this.#modules = modules;
  }

  /** @throws SchedulerError SCHEDULER_UNKNOWN_JOB */
  async loadJob(job: JobId): Promise<Signed<Job>> {
    const record = await this.#modules.store.loadRecord(job);
    if (record === undefined) throw new SchedulerError({ code: 'SCHEDULER_UNKNOWN_JOB', job });
    return openSigned(JOB, record.job, this.#modules.self);
  }

  /** @throws SchedulerError SCHEDULER_UNKNOWN_JOB, SCHEDULER_JOB_HALTED, SCHEDULER_STORE_CORRUPT */
  async loadEnd(job: JobId): Promise<EndRecord> {
    const { store, catalog } = this.#modules;
    const corrupt = catalog.corrupt.get(job);
    if (corrupt !== undefined) throw corrupt;
    const end = await store.loadEnd(job);
    if (end !== undefined) return end;
    throw new SchedulerError({ code: catalog.has(job) ? 'SCHEDULER_JOB_HALTED' : 'SCHEDULER_UNKNOWN_JOB', job });
  }
}
