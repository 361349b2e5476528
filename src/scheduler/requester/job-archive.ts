import type { JobId, PeerKey } from '../../domain/ids.ts';
import { JOB, type Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import { SchedulerError } from '../errors.ts';
import type { JobEvidence, JobExplanation, JobView } from '../interface.ts';
import type { EndRecord } from '../job-records.ts';
import type { JobStore } from '../job-store.ts';
import { type ExplainRequest, explainJob } from './explain-job.ts';
import { gatherEvidence } from './gather-evidence.ts';
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
  async explain(job: JobId, now: Pick<ExplainRequest, 'records' | 'nowMs'>): Promise<JobExplanation> {
    const { view, ...search } = await this.loadEnd(job);
    return explainJob({ view, job: (await this.loadJob(job)).value, ...search, ...now });
  }

  /** @throws SchedulerError as `loadEnd`; SCHEDULER_NO_RESULT */
  async loadEvidence(job: JobId, stores: Parameters<typeof gatherEvidence>[0]): Promise<JobEvidence> {
    const ended = await this.loadEnd(job);
    const evidence = await gatherEvidence(stores, await this.loadJob(job), ended);
    if (evidence === undefined) throw noResult(ended.view);
    return evidence;
  }
}

export function noResult({ job, state }: JobView): SchedulerError {
  return new SchedulerError({ code: 'SCHEDULER_NO_RESULT', job, state });
}
