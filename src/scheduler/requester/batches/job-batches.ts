import { type JobId, UnixMs } from '../../../domain/ids.ts';
import type { JobBatchId } from '../../../domain/job-batch.ts';
import { raceSignal } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Database, WriteOperation } from '../../../storage/interface.ts';
import { BATCH_FOLLOW_MS } from '../../constants.ts';
import { SchedulerError } from '../../errors.ts';
import {
  type BatchEntry,
  type BatchJob,
  JOB_STATES,
  type JobBatchService,
  type JobBatchView,
  type JobDraft,
  type JobState,
  type JobView,
} from '../../interface.ts';
import { KeyedMutex } from '../../keyed-mutex.ts';
import { BatchCounts, type EndedView } from './batch-counts.ts';
import { type BatchRecord, BatchStore, createBatchRecord } from './batch-store.ts';

/** What is written with a job that is submitted: its place in a batch. */
export type NoteJob = (index: number, job: JobId) => readonly WriteOperation[];

export interface JobBatchesModules {
  readonly database: Database;
  readonly clock: Clock;
  readonly submit: (draft: JobDraft, note: NoteJob) => Promise<JobId>;
  readonly submitMany: (drafts: readonly JobDraft[], note: NoteJob) => Promise<readonly JobId[]>;
  /** State of a job that has not ended. */
  readonly stateOf: (job: JobId) => JobState | undefined;
  readonly show: (job: JobId) => Promise<JobView>;
  readonly cancel: (job: JobId) => Promise<JobView>;
}

interface Batch {
  record: BatchRecord;
  readonly counts: BatchCounts;
}

/**
 * Batches of jobs that are described together. A job is written with its place in its batch, and a place that has a job
 * keeps it: whoever submits may be cut off anywhere and do it all again.
 */
export class JobBatches implements JobBatchService {
  readonly #modules: JobBatchesModules;
  readonly #store: BatchStore;
  readonly #batches = new Map<JobBatchId, Batch>();
  /** Of jobs that have not ended. */
  readonly #batchOf = new Map<JobId, JobBatchId>();
  readonly #mutex = new KeyedMutex();

  constructor(modules: JobBatchesModules) {
    this.#modules = modules;
    this.#store = new BatchStore(modules.database);
  }

  /** Before the jobs themselves: each is then told as `resumed` or `ended`. */
  async load(): Promise<void> {
    for await (const [batch, record] of this.#store.records()) this.#add(batch, record);
    for await (const { batch, job } of this.#store.allPlaces()) this.#place(batch, job);
  }

  /** A job has ended; of no interest where it is in no batch. */
  end(view: EndedView): void {
    const batch = this.#batchOf.get(view.job);
    if (batch === undefined) return;
    this.#batchOf.delete(view.job);
    this.#batches.get(batch)?.counts.end(view);
  }

  async open(given: {
    readonly batch: JobBatchId;
    readonly name: string;
    readonly size: number;
    readonly digest: string;
  }): Promise<JobBatchView> {
    const { batch, ...described } = given;
    return this.#mutex.run(batch, async () => {
      const known = this.#batches.get(batch);
      if (known === undefined) {
        const createdAtMs = UnixMs(this.#modules.clock.nowMs());
        const record = createBatchRecord({ ...described, createdAtMs });
        await this.#store.put(batch, record);
        return this.#view(batch, this.#add(batch, record));
      }
      if (known.record.digest !== given.digest || known.record.size !== given.size) {
        throw new SchedulerError({ code: 'SCHEDULER_BATCH_CONFLICT', batch });
      }
      return this.#view(batch, known);
    });
  }

  async submit(batch: JobBatchId, entries: readonly BatchEntry[]): Promise<readonly JobId[]> {
    return this.#mutex.run(batch, async () => {
      const { record } = this.#find(batch);
      if (record.cancelledAtMs !== null) throw new SchedulerError({ code: 'SCHEDULER_BATCH_CANCELLED', batch });
      assertPlaces(batch, entries, record.size);
      const jobs = new Map<number, JobId>();
      const fresh: BatchEntry[] = [];
      for (const entry of entries) {
        const job = await this.#store.jobAt(batch, entry.index);
        if (job === undefined) fresh.push(entry);
        else jobs.set(entry.index, job);
      }
      await this.#submitFresh(batch, fresh, jobs);
      return entries.flatMap(({ index }) => jobs.get(index) ?? []);
    });
  }

  async show(batch: JobBatchId): Promise<JobBatchView> {
    return this.#view(batch, this.#find(batch));
  }

  async list({ limit }: { readonly limit: number }): Promise<readonly JobBatchView[]> {
    return [...this.#batches]
      .reverse()
      .sort(([, a], [, b]) => b.record.createdAtMs - a.record.createdAtMs)
      .slice(0, limit)
      .map(([batch, known]) => this.#view(batch, known));
  }

  async jobs(
    batch: JobBatchId,
    { fromIndex, limit, state }: { readonly fromIndex: number; readonly limit: number; readonly state?: JobState },
  ): Promise<readonly BatchJob[]> {
    this.#find(batch);
    const jobs: BatchJob[] = [];
    for await (const { index, job } of this.#store.places(batch, fromIndex)) {
      const view = await this.#tryShow(job);
      if (state === undefined || view?.state === state) jobs.push({ index, job, view });
      if (jobs.length >= limit) break;
    }
    return jobs;
  }

  async cancel(batch: JobBatchId): Promise<JobBatchView> {
    const known = this.#find(batch);
    await this.#mutex.run(batch, async () => {
      if (known.record.cancelledAtMs !== null) return;
      const cancelled = { ...known.record, cancelledAtMs: UnixMs(this.#modules.clock.nowMs()) };
      await this.#store.put(batch, cancelled);
      known.record = cancelled;
    });
    await Promise.all([...known.counts.active].map((job) => this.#modules.cancel(job)));
    return this.#view(batch, known);
  }

  async *follow(batch: JobBatchId, { signal }: { readonly signal: AbortSignal }): AsyncGenerator<JobBatchView> {
    let told = '';
    for (;;) {
      const view = await this.show(batch);
      const text = JSON.stringify(view);
      if (text !== told) yield view;
      told = text;
      if (view.endedAtMs !== null) return;
      await this.#pause(signal);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#modules.clock.schedule(BATCH_FOLLOW_MS, resolve);
    await raceSignal(promise, signal);
  }

  /** A job that cannot be read from the store must not hide the others. */
  async #tryShow(job: JobId): Promise<JobView | null> {
    try {
      return await this.#modules.show(job);
    } catch (error) {
      if (error instanceof SchedulerError) return null;
      throw error;
    }
  }

  async #submitFresh(batch: JobBatchId, fresh: readonly BatchEntry[], jobs: Map<number, JobId>): Promise<void> {
    const single = fresh.filter(({ draft }) => draft.replication.replicas === 1);
    const noteIn =
      (entries: readonly BatchEntry[]): NoteJob =>
      (position, job) => {
        const index = entries[position]?.index;
        if (index === undefined) return [];
        jobs.set(index, job);
        this.#place(batch, job);
        return this.#store.placeOperations({ batch, index, job });
      };
    try {
      if (single.length > 0) {
        await this.#modules.submitMany(
          single.map(({ draft }) => draft),
          noteIn(single),
        );
      }
      for (const entry of fresh) {
        if (entry.draft.replication.replicas > 1) await this.#modules.submit(entry.draft, noteIn([entry]));
      }
    } catch (error) {
      await this.#forgetUnwritten(batch, jobs);
      throw error;
    }
  }

  /** What was noted and then not written is in no batch. */
  async #forgetUnwritten(batch: JobBatchId, jobs: ReadonlyMap<number, JobId>): Promise<void> {
    for (const [index, job] of jobs) {
      if ((await this.#store.jobAt(batch, index)) === job) continue;
      this.#batchOf.delete(job);
      this.#batches.get(batch)?.counts.active.delete(job);
    }
  }

  #add(batch: JobBatchId, record: BatchRecord): Batch {
    const added = { record, counts: new BatchCounts() };
    this.#batches.set(batch, added);
    return added;
  }

  #place(batch: JobBatchId, job: JobId): void {
    this.#batchOf.set(job, batch);
    this.#batches.get(batch)?.counts.active.add(job);
  }

  #find(batch: JobBatchId): Batch {
    const known = this.#batches.get(batch);
    if (known === undefined) throw new SchedulerError({ code: 'SCHEDULER_UNKNOWN_BATCH', batch });
    return known;
  }

  #view(batch: JobBatchId, { record, counts }: Batch): JobBatchView {
    const states = new Map<JobState, number>(counts.ended);
    for (const job of counts.active) {
      const state = this.#modules.stateOf(job) ?? 'seeking';
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    const isWhole = counts.submitted === record.size || record.cancelledAtMs !== null;
    return {
      batch,
      name: record.name,
      size: record.size,
      createdAtMs: record.createdAtMs,
      cancelledAtMs: record.cancelledAtMs,
      submitted: counts.submitted,
      states: Object.fromEntries(JOB_STATES.map((state) => [state, states.get(state) ?? 0])) as JobBatchView['states'],
      failures: [...counts.failures].map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count),
      endedAtMs: isWhole && counts.active.size === 0 ? (counts.lastEndedAtMs ?? record.cancelledAtMs) : null,
    };
  }
}

function assertPlaces(batch: JobBatchId, entries: readonly BatchEntry[], size: number): void {
  const seen = new Set<number>();
  for (const { index } of entries) {
    if (index >= size || seen.has(index))
      throw new SchedulerError({ code: 'SCHEDULER_BATCH_PLACE', batch, index, size });
    seen.add(index);
  }
}
