import type { JobId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import type { TokenBucket } from '../../lib/token-bucket.ts';
import type { JobView } from '../interface.ts';
import { createInitialState, createJobFacts, type EndedJob, isEnded } from '../job-machine-state.ts';
import type { EndRecord } from '../job-records.ts';
import type { NewJob } from '../job-store.ts';
import { jobIdOf } from '../object-ids.ts';
import type { AttemptCase } from './attempt-case.ts';
import { createEndRecord } from './end-record.ts';
import { JobLedger, type JobLedgerModules } from './job-ledger.ts';
import type { JobLog } from './job-log.ts';
import { viewJob } from './job-view.ts';
import type { SearchReport } from './offer-search.ts';

/** One job of a batch for as long as the batch carries it. */
export class BatchMember {
  readonly id: JobId;
  readonly job: Signed<Job>;
  /** Seals its snapshots once it goes on alone; null where they are not sealed. */
  readonly snapshotKey: Uint8Array | null;
  readonly ledger: JobLedger;
  /** Its only attempt, once there is one. */
  attempt: AttemptCase | null = null;
  lastSequence = 0;
  /** Progress that it may still tell of, once it has told of any. */
  steps: TokenBucket | null = null;
  /** Its result is being written: it ends here, whatever else happens. */
  isConcluding = false;
  log: JobLog | null = null;
  #accepted: Receipt | null = null;
  readonly #search: () => SearchReport;

  constructor(
    modules: Omit<JobLedgerModules, 'describeEnd'>,
    options: NewJob & { readonly search: () => SearchReport },
  ) {
    this.job = options.job;
    this.snapshotKey = options.snapshotKey;
    this.id = jobIdOf(options.job);
    this.#search = options.search;
    const state = createInitialState(createJobFacts(this.id, options.job.value));
    const describeEnd = (ended: EndedJob): EndRecord => this.#describeEnd(ended);
    this.ledger = new JobLedger({ ...modules, describeEnd }, { state, sequence: 0 });
  }

  /** The receipt that the job is about to conclude with. */
  accept(receipt: Receipt): void {
    this.#accepted = receipt;
  }

  /** Its lease, or its deadline, has passed. */
  isOverdue(nowMs: number): boolean {
    const leaseEndsAtMs = this.ledger.state.attempts.at(-1)?.leaseEndsAtMs ?? Number.POSITIVE_INFINITY;
    return nowMs >= leaseEndsAtMs || nowMs >= this.job.value.deadlineMs;
  }

  get search(): SearchReport {
    return this.#search();
  }

  get view(): JobView {
    return viewJob(this.job.value, this.ledger.shown, { result: null });
  }

  /** For when its end is on disk. @throws TypeError for one that goes on */
  get endView(): JobView {
    const { state } = this.ledger;
    if (!isEnded(state)) throw new TypeError(`the job ${this.id} goes on`);
    return this.#describeEnd(state).view;
  }

  #describeEnd(state: EndedJob): EndRecord {
    const accepted = this.#accepted && { receipt: this.#accepted };
    return createEndRecord(this.job.value, state, { accepted, search: this.#search() });
  }
}
