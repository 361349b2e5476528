import type { JobId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import { InternalError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { CheckpointStore } from '../checkpoint-store.ts';
import { isDamage, toCorruptEntry } from '../corrupt-entry.ts';
import { SchedulerError } from '../errors.ts';
import type {
  CheckpointView,
  JobDraft,
  JobEvent,
  JobEvidence,
  JobExplanation,
  JobState,
  JobView,
  RequesterService,
} from '../interface.ts';
import { createInitialState, createJobFacts, isEnded } from '../job-machine-state.ts';
import type { JobRecord } from '../job-records.ts';
import { JobStore, type NewJob } from '../job-store.ts';
import { createRequesterMetrics, type RequesterMetrics } from '../metrics.ts';
import { jobIdOf } from '../object-ids.ts';
import type { JobRequesterOptions } from '../options.ts';
import { sealStore, sealTransfers } from '../private-blobs.ts';
import type { BatchMember } from './batch-member.ts';
import { BatchRunner } from './batch-runner.ts';
import { JobBatches } from './batches/job-batches.ts';
import { OutputOpener } from './confidential/output-opener.ts';
import { createSharedParts, type SharedParts } from './create-shared-parts.ts';
import { EndWaiters } from './end-waiters.ts';
import { JobEventHub } from './event-hub.ts';
import { explainJob } from './explain-job.ts';
import { explainUnpausable } from './explain-unpausable.ts';
import { followEvents } from './follow-events.ts';
import { HaltedJobs } from './halted-jobs.ts';
import { JobArchive, noResult } from './job-archive.ts';
import { JobCatalog } from './job-catalog.ts';
import { JobIntake } from './job-intake.ts';
import { countsOrdinals, JobLog, NO_LOGS } from './job-log.ts';
import { JobRun } from './job-run.ts';
import { type JobRunOptions, NO_CHECKPOINTS } from './job-run-parts.ts';
import { listCheckpoints } from './list-checkpoints.ts';
import { recoverJob } from './recover-job.ts';
import type { JobRequesterModules } from './requester-modules.ts';
import { restoreEnd } from './restore-end.ts';

/** The requester's side of jobs: submits, finds providers, follows, verifies, remembers. */
export class JobRequester implements RequesterService {
  readonly #modules: JobRequesterModules;
  readonly #options: JobRequesterOptions;
  readonly #logger: Logger;
  readonly #metrics: RequesterMetrics;
  readonly #store: JobStore;
  readonly #stores: { readonly jobs: JobStore; readonly checkpoints: CheckpointStore };
  readonly #archive: JobArchive;
  readonly #hub = new JobEventHub();
  readonly #catalog = new JobCatalog();
  readonly #runs = new Map<JobId, JobRun>();
  readonly #waiters = new EndWaiters();
  readonly #shared: SharedParts;
  readonly #outputs: OutputOpener;
  readonly #carrier: BatchRunner;
  readonly #intake: JobIntake;
  readonly batches: JobBatches;
  readonly #halted: HaltedJobs;
  #isRunning = false;

  constructor(modules: JobRequesterModules, options: JobRequesterOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#logger = modules.logger.child({ module: 'requester' });
    this.#metrics = createRequesterMetrics(modules.metrics);
    this.#store = new JobStore(modules);
    this.#stores = { jobs: this.#store, checkpoints: new CheckpointStore(modules) };
    this.#archive = new JobArchive({ store: this.#store, catalog: this.#catalog, self: modules.identity.peer });
    this.#shared = createSharedParts({ ...modules, logger: this.#logger }, { ...options, metrics: this.#metrics });
    this.#outputs = new OutputOpener({ store: this.#store, confidential: this.#shared.confidential });
    this.#carrier = this.#createCarrier();
    this.#intake = this.#createIntake();
    this.batches = this.#createBatches();
    this.#halted = new HaltedJobs({ ...modules, logger: this.#logger, takeUp: (job) => this.#takeUpAgain(job) });
  }

  /** What carries jobs, alone or many together, is made of these. */
  get #parts() {
    const { identity, network, confidential: _, ...modules } = this.#modules;
    const own = { store: this.#store, hub: this.#hub, logger: this.#logger, metrics: this.#metrics };
    return { ...modules, ...network, ...this.#shared, ...own, signer: identity };
  }

  #createCarrier(): BatchRunner {
    return new BatchRunner(
      {
        ...this.#parts,
        createLog: ({ id, job }) => this.#createLog(id, job.value),
        onEnded: (members) => {
          for (const { endView } of members) this.#end(endView);
        },
        onLeft: (member) => this.#takeOver(member),
        onHalted: (members, error) => {
          this.#logger.error({ error, jobs: members.length }, 'the jobs of a batch cannot go on');
          for (const { id } of members) this.#halt(id, error);
        },
      },
      this.#options,
    );
  }

  #createIntake(): JobIntake {
    return new JobIntake(
      {
        ...this.#modules,
        confidential: this.#shared.confidential,
        store: this.#store,
        metrics: this.#metrics,
        countActive: () => (this.#isRunning ? this.counts().active : undefined),
        begin: (job) => this.#begin(job),
        forget: (job) => this.#forget(job),
        carry: (jobs) => this.#carry(jobs),
      },
      this.#options,
    );
  }

  #createBatches(): JobBatches {
    const { database, clock } = this.#modules;
    return new JobBatches({
      database,
      clock,
      submit: async (draft, note) => (await this.#intake.submit(draft, note)).job,
      submitMany: (drafts, note) => this.#intake.submitMany(drafts, note),
      stateOf: (job) => this.#find(job)?.view.state,
      show: (job) => this.show(job),
      cancel: (job) => this.cancel(job),
    });
  }

  #createLog(id: JobId, job: Job): JobLog {
    const modules = { store: this.#store, hub: this.#hub, dropped: this.#metrics.logsDropped };
    return new JobLog(modules, { job: id, ...NO_LOGS, countsOrdinals: countsOrdinals(job) });
  }

  #find(job: JobId): JobRun | BatchMember | undefined {
    return this.#runs.get(job) ?? this.#carrier.get(job);
  }

  /** Takes up the jobs that had not ended: attempts with a live lease are followed again. */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#shared.announcer?.start();
    await this.batches.load();
    const waiting = new Map<string, NewJob[]>();
    for await (const stored of this.#store.loadAll()) {
      signal.throwIfAborted();
      if (stored.kind === 'corrupt') this.#noteCorrupt(stored.job, stored.error);
      else if (stored.kind === 'ended') {
        this.#catalog.add(stored.job, stored.end.view.createdAtMs, stored.end.view.state);
        this.batches.end(stored.end.view);
      } else await this.#resume(stored.job, stored.record, waiting);
    }
    for (const jobs of waiting.values()) await this.#carry(jobs);
    this.#metrics.jobsActive.set(this.counts().active);
  }

  /** Leaves the attempts to their providers; `start` in the next process follows them again. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#shared.announcer?.stop();
    this.#carrier.stop();
    this.#halted.stop();
    for (const run of this.#runs.values()) run.stop();
    this.#runs.clear();
    this.#shared.notices.stop();
    this.#shared.pins.releaseAll();
    this.#hub.closeAll();
    this.#waiters.rejectAll(new SchedulerError({ code: 'SCHEDULER_NOT_STARTED' }));
  }

  /** Jobs that have not ended, and all. */
  counts(): { readonly active: number; readonly total: number } {
    return { active: this.#runs.size + this.#carrier.size + this.#halted.size, total: this.#catalog.size };
  }

  /** Jobs that are not listed: they wait for a store that works, or cannot be read. */
  unlisted(): { readonly halted: number; readonly corrupt: number } {
    return { halted: this.#halted.size, corrupt: this.#catalog.corrupt.size };
  }

  submit(draft: JobDraft): Promise<JobView> {
    return this.#intake.submit(draft);
  }

  submitMany(drafts: readonly JobDraft[]): Promise<readonly JobId[]> {
    return this.#intake.submitMany(drafts);
  }

  /** Jobs of one signature that have no attempt yet. */
  async #carry(jobs: readonly NewJob[]): Promise<void> {
    // Results that ride in groups pass through one store for all: private ones go each by itself.
    if (jobs.length === 1 || jobs.some(({ job }) => job.value.private === true)) {
      for (const job of jobs) this.#begin(job).start();
      return;
    }
    for (const { job } of jobs) {
      this.#catalog.add(jobIdOf(job), job.value.createdAtMs);
      this.#shared.pins.holdInputs(job);
    }
    await this.#carrier.add(jobs);
    this.#metrics.jobsActive.set(this.counts().active);
  }

  /** A job that its batch does not carry any more. */
  #takeOver(member: BatchMember): void {
    const { job, snapshotKey, attempt, ledger, lastSequence, log } = member;
    const cases = attempt === null ? [] : [attempt];
    const { state, sequence } = ledger;
    const logs = { ...NO_LOGS, ordinals: log?.ordinals ?? NO_LOGS.ordinals };
    const known = { state, sequence, cases, logs, earlierLog: log, checkpoints: NO_CHECKPOINTS };
    const run = this.#createRun({ job, snapshotKey, ...known });
    run.resume(new Map(attempt === null ? [] : [[attempt.id, lastSequence]]));
  }

  async show(job: JobId): Promise<JobView> {
    return this.#find(job)?.view ?? (await this.#archive.loadEnd(job)).view;
  }

  async explain(job: JobId): Promise<JobExplanation> {
    const run = this.#find(job);
    const records = this.#modules.network.peers.providers().map((record) => record.value);
    const now = { records, nowMs: this.#modules.clock.nowMs() };
    if (run === undefined) return this.#archive.explain(job, now);
    return explainJob({ view: run.view, job: run.job.value, ...run.search, ...now });
  }

  async list(filter: { readonly state?: JobState; readonly limit: number }): Promise<readonly JobView[]> {
    const views: JobView[] = [];
    for (const job of this.#catalog.newestFirst()) {
      if (views.length >= filter.limit) break;
      const state = this.#catalog.ended(job) ?? this.#find(job)?.view.state;
      if (filter.state !== undefined && state !== filter.state) continue;
      if (!this.#catalog.corrupt.has(job) && !this.#halted.has(job)) views.push(await this.show(job));
    }
    return views;
  }

  async cancel(job: JobId): Promise<JobView> {
    this.#carrier.release(job);
    await this.#runs.get(job)?.request('cancel-requested');
    return this.show(job);
  }

  async pause(job: JobId): Promise<JobView> {
    const run = await this.#findActive(job);
    const reason = explainUnpausable(run);
    if (reason !== null) throw new SchedulerError({ code: 'SCHEDULER_NOT_PAUSABLE', job, reason });
    if (run instanceof JobRun) await run.request('pause-requested');
    return this.show(job);
  }

  async resume(job: JobId): Promise<JobView> {
    const run = await this.#findActive(job);
    if (run instanceof JobRun) await run.request('resume-requested');
    return this.show(job);
  }

  /** @throws SchedulerError SCHEDULER_JOB_ENDED, SCHEDULER_UNKNOWN_JOB */
  async #findActive(job: JobId): Promise<JobRun | BatchMember> {
    const found = this.#find(job);
    if (found instanceof JobRun) await found.settled;
    const run = this.#find(job);
    if (run !== undefined) return run;
    const { view } = await this.#archive.loadEnd(job);
    throw new SchedulerError({ code: 'SCHEDULER_JOB_ENDED', job, state: view.state });
  }

  async checkpoints(job: JobId): Promise<readonly CheckpointView[]> {
    return listCheckpoints(this.#stores.checkpoints, job, (await this.show(job)).attempts);
  }

  events(job: JobId, options: { readonly follow: boolean; readonly signal: AbortSignal }): AsyncGenerator<JobEvent> {
    const loadJob = async (): Promise<Job> => (await this.#loadJob(job)).value;
    const isActive = (): boolean => this.#find(job) !== undefined;
    return followEvents({ hub: this.#hub, stores: this.#stores, loadJob, isActive }, job, options);
  }

  async wait(job: JobId, options: { readonly signal: AbortSignal }): Promise<JobView> {
    if (this.#find(job) === undefined) return (await this.#archive.loadEnd(job)).view;
    return this.#waiters.wait(job, options.signal);
  }

  async evidence(job: JobId): Promise<JobEvidence> {
    const run = this.#find(job);
    if (run !== undefined) throw noResult(run.view);
    return await this.#archive.loadEvidence(job, this.#stores);
  }

  openOutput(job: JobId, path: string, stored: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return this.#outputs.open(job, path, stored);
  }

  #begin(created: NewJob): JobRun {
    const { job } = created;
    const state = createInitialState(createJobFacts(jobIdOf(job), job.value));
    this.#catalog.add(state.facts.job, job.value.createdAtMs);
    const fresh = { state, sequence: 0, cases: [], logs: NO_LOGS, checkpoints: NO_CHECKPOINTS };
    return this.#createRun({ ...created, ...fresh });
  }

  #createRun(options: Omit<JobRunOptions, 'requester'>): JobRun {
    const job = jobIdOf(options.job);
    this.#shared.pins.holdInputs(options.job);
    if (this.#runs.has(job)) throw new InternalError(`the job ${job} is carried already`);
    const run = new JobRun(
      {
        ...this.#parts,
        blobs: sealStore(options.job.value, this.#modules.blobs),
        transfers: sealTransfers(options.job.value, this.#modules.transfers),
        checkpoints: this.#stores.checkpoints,
        onEnded: (view) => this.#end(view),
        onHalted: (error) => this.#halt(job, error),
      },
      { ...options, requester: this.#options },
    );
    this.#runs.set(job, run);
    this.#metrics.jobsActive.set(this.counts().active);
    return run;
  }

  /** @param waiting those that were signed together and have no attempt yet: they go together again, unless it is null */
  async #resume(job: JobId, record: JobRecord, waiting: Map<string, NewJob[]> | null): Promise<void> {
    try {
      const recovered = await recoverJob(this.#stores, { job, record }, this.#modules.identity.peer);
      this.#catalog.add(job, record.createdAtMs);
      if (isEnded(recovered.state)) return this.#end((await restoreEnd(this.#store, recovered)).view);
      this.#shared.pins.holdInputs(recovered.job);
      const { wire } = recovered.job;
      if (waiting !== null && wire.kind === 'batch' && recovered.sequence === 0) {
        const key = encodeHex(sha256(wire.root));
        waiting.set(key, [...(waiting.get(key) ?? []), recovered]);
        return;
      }
      this.#createRun(recovered).resume(recovered.lastSequences);
    } catch (error) {
      const corrupt = isDamage(error) ? toCorruptEntry(error) : error;
      if (!(corrupt instanceof SchedulerError)) throw error;
      this.#noteCorrupt(job, corrupt);
    }
  }

  #noteCorrupt(job: JobId, error: SchedulerError): void {
    this.#logger.error({ jobId: job, error }, 'a job cannot be read from the store');
    this.#catalog.add(job, 0);
    this.#catalog.corrupt.set(job, error);
    this.batches.end({ job, state: 'failed', endedAtMs: null, failure: { code: error.code, message: error.message } });
  }

  #end(view: JobView): void {
    this.#runs.delete(view.job);
    this.#shared.pins.release(view.job);
    this.#catalog.end(view.job, view.state);
    this.batches.end(view);
    this.#metrics.jobsEnded.increment({ state: view.state });
    this.#metrics.jobsActive.set(this.counts().active);
    if (view.result !== null) this.#metrics.jobSeconds.observe(((view.endedAtMs ?? 0) - view.createdAtMs) / 1000);
    this.#logger.debug({ jobId: view.job, state: view.state, failure: view.failure }, 'job ended');
    this.#waiters.resolve(view);
  }

  async #takeUpAgain(job: JobId): Promise<void> {
    const record = await this.#store.loadRecord(job);
    if (record === undefined) return this.#forget(job);
    await this.#resume(job, record, null);
  }

  #halt(job: JobId, error: unknown): void {
    this.#runs.delete(job);
    this.#halted.add(job);
    this.#metrics.jobsActive.set(this.counts().active);
    this.#waiters.reject(job, error);
  }

  #forget(job: JobId): void {
    this.#runs.delete(job);
    this.#shared.pins.release(job);
    this.#catalog.remove(job);
  }

  async #loadJob(job: JobId): Promise<Signed<Job>> {
    return this.#find(job)?.job ?? this.#archive.loadJob(job);
  }
}
