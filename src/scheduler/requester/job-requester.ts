import type { BlobStore } from '../../blob/interface.ts';
import type { JobId } from '../../domain/ids.ts';
import { JOB, type Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { PeerBook, PeerTransport } from '../../network/interface.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import { openSigned, signObject, signObjects } from '../../proofs/signed-object.ts';
import type { Database } from '../../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import type { BlobGrants } from '../blob-access.ts';
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
import { createInitialState, createJobFacts } from '../job-machine-state.ts';
import type { JobRecord } from '../job-records.ts';
import { JobStore } from '../job-store.ts';
import { createRequesterMetrics, type RequesterMetrics } from '../metrics.ts';
import { jobIdOf } from '../object-ids.ts';
import type { JobRequesterOptions } from '../options.ts';
import type { ReceiptNotes } from '../receipt-notes.ts';
import type { BatchMember } from './batch-member.ts';
import { BatchRunner, splitIntoWindows } from './batch-runner.ts';
import { assertBlobsHeld, createJob } from './describe-job.ts';
import { JobEventHub } from './event-hub.ts';
import { explainJob } from './explain-job.ts';
import { gatherEvidence } from './gather-evidence.ts';
import { InlineBlobs } from './inline-blobs.ts';
import { JobCatalog } from './job-catalog.ts';
import { JobLog } from './job-log.ts';
import { JobRun, type JobRunModules, type JobRunOptions } from './job-run.ts';
import { LeaseNotices } from './lease-notices.ts';
import { ProviderStandings } from './provider-standings.ts';
import { readRecordedEvents } from './read-events.ts';
import { recoverJob } from './recover-job.ts';

export interface JobRequesterModules {
  readonly identity: EnvelopeSigner;
  readonly network: { readonly transport: PeerTransport; readonly peers: PeerBook };
  readonly blobs: BlobStore;
  /** Shared with the node's provider: one handler serves the `blob` protocol for both. */
  readonly grants: BlobGrants;
  readonly database: Database;
  /** Absent where nothing is anchored. */
  readonly receiptNotes?: ReceiptNotes;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

const TERMINAL_STATES: ReadonlySet<JobState> = new Set(['completed', 'failed', 'cancelled', 'expired']);
/** The requester's side of jobs: submits, finds providers, follows, verifies, remembers. */
export class JobRequester implements RequesterService {
  readonly #modules: JobRequesterModules;
  readonly #options: JobRequesterOptions;
  readonly #logger: Logger;
  readonly #metrics: RequesterMetrics;
  readonly #store: JobStore;
  readonly #hub = new JobEventHub();
  readonly #catalog = new JobCatalog();
  readonly #runs = new Map<JobId, JobRun>();
  readonly #waiters = new Map<JobId, PromiseWithResolvers<JobView>>();
  readonly #notices: LeaseNotices;
  readonly #shared: Pick<JobRunModules, 'inlineBlobs' | 'standings' | 'notices'>;
  readonly #batches: BatchRunner;
  #isRunning = false;

  constructor(modules: JobRequesterModules, options: JobRequesterOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#logger = modules.logger.child({ module: 'requester' });
    this.#metrics = createRequesterMetrics(modules.metrics);
    this.#store = new JobStore(modules);
    const { transport } = modules.network;
    this.#notices = new LeaseNotices({ transport, clock: modules.clock, logger: this.#logger });
    this.#shared = {
      inlineBlobs: new InlineBlobs(modules),
      standings: new ProviderStandings(),
      notices: this.#notices,
    };
    this.#batches = this.#createBatches();
  }

  #createBatches(): BatchRunner {
    const { identity, network, ...modules } = this.#modules;
    return new BatchRunner(
      {
        ...modules,
        ...network,
        ...this.#shared,
        signer: identity,
        store: this.#store,
        hub: this.#hub,
        logger: this.#logger,
        metrics: this.#metrics,
        createLog: ({ id }) => this.#createLog(id),
        onEnded: (members) => {
          for (const { view } of members) this.#end(view);
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

  #createLog(job: JobId): JobLog {
    const modules = { store: this.#store, hub: this.#hub, dropped: this.#metrics.logsDropped };
    return new JobLog(modules, { job, entries: 0, sizeBytes: 0 });
  }

  #find(job: JobId): JobRun | BatchMember | undefined {
    return this.#runs.get(job) ?? this.#batches.get(job);
  }

  /** Takes up the jobs that had not ended: attempts with a live lease are followed again. */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for await (const stored of this.#store.loadAll()) {
      signal.throwIfAborted();
      if (stored.kind === 'corrupt') this.#noteCorrupt(stored.job, stored.error);
      else if (stored.kind === 'ended') {
        this.#catalog.add(stored.job, stored.end.view.createdAtMs, stored.end.view.state);
      } else await this.#resume(stored.job, stored.record);
    }
    this.#metrics.jobsActive.set(this.counts().active);
  }

  /** Leaves the attempts to their providers; `start` in the next process follows them again. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#batches.stop();
    for (const run of this.#runs.values()) run.stop();
    this.#runs.clear();
    this.#notices.stop();
    this.#hub.closeAll();
    for (const waiter of this.#waiters.values()) waiter.reject(new SchedulerError({ code: 'SCHEDULER_NOT_STARTED' }));
    this.#waiters.clear();
  }

  /** Jobs that have not ended, and all. */
  counts(): { readonly active: number; readonly total: number } {
    return { active: this.#runs.size + this.#batches.size, total: this.#catalog.size };
  }

  async submit(draft: JobDraft): Promise<JobView> {
    this.#assertRoom(1);
    const job = this.#createJob(draft);
    const [signed] = await Promise.all([
      signObject(JOB, job, this.#modules.identity),
      assertBlobsHeld([job], this.#modules.blobs),
    ]);
    const created = this.#store.create([signed]);
    // Offers are asked for while the job is written; its lease is written, and sent, after it.
    const run = this.#begin(signed);
    run.start();
    try {
      await created;
    } catch (error) {
      run.stop();
      this.#forget(jobIdOf(signed));
      throw error;
    }
    this.#metrics.jobsSubmitted.increment();
    return run.view;
  }

  async submitMany(drafts: readonly JobDraft[]): Promise<readonly JobId[]> {
    this.#assertRoom(drafts.length);
    const other = drafts.findIndex((draft) => draft.replication.replicas !== 1);
    const replicas = drafts[other]?.replication.replicas;
    if (replicas !== undefined) throw new SchedulerError({ code: 'SCHEDULER_BATCH_REPLICAS', index: other, replicas });
    const jobs = drafts.map((draft) => this.#createJob(draft));
    await assertBlobsHeld(jobs, this.#modules.blobs);
    const windows = splitIntoWindows(jobs, this.#options.batchWindow);
    const ids = new Map<number, JobId>();
    await Promise.all(
      windows.map(async (window) => {
        const signed = await signObjects(
          JOB,
          window.flatMap((index) => jobs[index] ?? []),
          this.#modules.identity,
        );
        signed.forEach((job, position) => {
          ids.set(window[position] ?? -1, jobIdOf(job));
        });
        await this.#startWindow(signed);
      }),
    );
    this.#metrics.jobsSubmitted.increment({}, jobs.length);
    return jobs.flatMap((_, index) => ids.get(index) ?? []);
  }

  async #startWindow(jobs: readonly Signed<Job>[]): Promise<void> {
    await this.#store.create(jobs);
    for (const job of jobs) this.#catalog.add(jobIdOf(job), job.value.createdAtMs);
    if (!this.#isRunning) return;
    const [only] = jobs;
    if (jobs.length === 1 && only !== undefined) this.#begin(only).start();
    else await this.#batches.add(jobs);
    this.#metrics.jobsActive.set(this.counts().active);
  }

  /** A job that its batch does not carry any more. */
  #takeOver(member: BatchMember): void {
    const { job, attempt, ledger, lastSequence } = member;
    const cases = attempt === null ? [] : [attempt];
    const { state, sequence } = ledger;
    const run = this.#createRun({ job, state, sequence, cases, logs: { entries: 0, sizeBytes: 0 } });
    run.resume(new Map(attempt === null ? [] : [[attempt.id, lastSequence]]));
  }

  async show(job: JobId): Promise<JobView> {
    return this.#find(job)?.view ?? (await this.#loadEnd(job)).view;
  }

  async explain(job: JobId): Promise<JobExplanation> {
    const run = this.#find(job);
    const records = this.#modules.network.peers.providers().map((record) => record.value);
    if (run !== undefined) {
      return explainJob({ view: run.view, job: run.job.value, asked: run.asked, records });
    }
    const { view, asked } = await this.#loadEnd(job);
    return explainJob({ view, job: (await this.#loadJob(job)).value, asked, records });
  }

  async list(filter: { readonly state?: JobState; readonly limit: number }): Promise<readonly JobView[]> {
    const views: JobView[] = [];
    for (const job of this.#catalog.newestFirst()) {
      if (views.length >= filter.limit) break;
      const state = this.#catalog.ended(job) ?? this.#find(job)?.view.state;
      if (filter.state !== undefined && state !== filter.state) continue;
      if (!this.#catalog.corrupt.has(job)) views.push(await this.show(job));
    }
    return views;
  }

  async cancel(job: JobId): Promise<JobView> {
    this.#batches.release(job);
    const run = this.#runs.get(job);
    if (run === undefined) return this.show(job);
    await run.requestCancel();
    return this.show(job);
  }

  async pause(job: JobId): Promise<JobView> {
    throw new SchedulerError({ code: 'SCHEDULER_NOT_PAUSABLE', job, reason: 'it makes no checkpoints' });
  }

  async resume(job: JobId): Promise<JobView> {
    return this.show(job);
  }

  async checkpoints(): Promise<readonly CheckpointView[]> {
    return [];
  }

  async *events(
    job: JobId,
    options: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<JobEvent> {
    using follower = this.#hub.follow(job);
    const recorded = await readRecordedEvents(this.#store, job, (await this.#loadJob(job)).value);
    yield* recorded.events;
    if (!options.follow || recorded.isEnded) return;
    // It ended or halted while the record was read: what is buffered is all there is.
    if (this.#find(job) === undefined) follower.close();
    for await (const placed of follower.entries(options.signal)) {
      if (recorded.includes(placed)) continue;
      yield placed.event;
      if (placed.event.kind === 'state' && TERMINAL_STATES.has(placed.event.state)) return;
    }
  }

  async wait(job: JobId, options: { readonly signal: AbortSignal }): Promise<JobView> {
    if (this.#find(job) === undefined) return (await this.#loadEnd(job)).view;
    let waiter = this.#waiters.get(job);
    if (waiter === undefined) {
      waiter = Promise.withResolvers<JobView>();
      // Whoever waited may have left before it is rejected.
      waiter.promise.catch(() => undefined);
      this.#waiters.set(job, waiter);
    }
    return raceSignal(waiter.promise, options.signal);
  }

  async evidence(job: JobId): Promise<JobEvidence> {
    const run = this.#find(job);
    if (run !== undefined) throw this.#noResult(run.view);
    const ended = await this.#loadEnd(job);
    const evidence = await gatherEvidence(this.#store, await this.#loadJob(job), ended);
    if (evidence === undefined) throw this.#noResult(ended.view);
    return evidence;
  }

  #noResult({ job, state }: JobView): SchedulerError {
    return new SchedulerError({ code: 'SCHEDULER_NO_RESULT', job, state });
  }

  #assertRoom(count: number): void {
    if (!this.#isRunning) throw new SchedulerError({ code: 'SCHEDULER_NOT_STARTED' });
    const { active } = this.counts();
    const limit = this.#options.maxActiveJobs;
    if (active + count > limit) throw new SchedulerError({ code: 'SCHEDULER_TOO_MANY_JOBS', active, limit });
  }

  #createJob(draft: JobDraft): Job {
    const { identity, random, clock } = this.#modules;
    const network = this.#options.networkId;
    return createJob(draft, { network, requester: identity.peer, random, nowMs: clock.nowMs() });
  }

  #begin(job: Signed<Job>): JobRun {
    const state = createInitialState(createJobFacts(jobIdOf(job), job.value));
    this.#catalog.add(state.facts.job, job.value.createdAtMs);
    return this.#createRun({ job, state, sequence: 0, cases: [], logs: { entries: 0, sizeBytes: 0 } });
  }

  #createRun(options: Omit<JobRunOptions, 'requester'>): JobRun {
    const { identity, network, ...modules } = this.#modules;
    const job = jobIdOf(options.job);
    const run = new JobRun(
      {
        ...modules,
        ...network,
        ...this.#shared,
        signer: identity,
        store: this.#store,
        hub: this.#hub,
        logger: this.#logger,
        metrics: this.#metrics,
        onEnded: (view) => this.#end(view),
        onHalted: (error) => this.#halt(job, error),
      },
      { ...options, requester: this.#options },
    );
    this.#runs.set(job, run);
    this.#metrics.jobsActive.set(this.counts().active);
    return run;
  }

  async #resume(job: JobId, record: JobRecord): Promise<void> {
    try {
      const recovered = await recoverJob(this.#store, { job, record }, this.#modules.identity.peer);
      this.#catalog.add(job, record.createdAtMs);
      this.#createRun(recovered).resume(recovered.lastSequences);
    } catch (error) {
      if (!(error instanceof SchedulerError)) throw error;
      this.#noteCorrupt(job, error);
    }
  }

  #noteCorrupt(job: JobId, error: SchedulerError): void {
    this.#logger.error({ jobId: job, error }, 'a job cannot be read from the store');
    this.#catalog.add(job, 0);
    this.#catalog.corrupt.set(job, error);
  }

  #end(view: JobView): void {
    this.#runs.delete(view.job);
    this.#catalog.end(view.job, view.state);
    this.#metrics.jobsEnded.increment({ state: view.state });
    this.#metrics.jobsActive.set(this.counts().active);
    if (view.result !== null) this.#metrics.jobSeconds.observe(((view.endedAtMs ?? 0) - view.createdAtMs) / 1000);
    this.#logger.debug({ jobId: view.job, state: view.state, failure: view.failure }, 'job ended');
    this.#waiters.get(view.job)?.resolve(view);
    this.#waiters.delete(view.job);
  }

  #halt(job: JobId, error: unknown): void {
    this.#runs.delete(job);
    this.#metrics.jobsActive.set(this.counts().active);
    this.#waiters.get(job)?.reject(error);
    this.#waiters.delete(job);
  }

  #forget(job: JobId): void {
    this.#runs.delete(job);
    this.#catalog.remove(job);
  }

  async #loadJob(job: JobId): Promise<Signed<Job>> {
    const run = this.#find(job);
    if (run !== undefined) return run.job;
    const record = await this.#store.loadRecord(job);
    if (record === undefined) throw new SchedulerError({ code: 'SCHEDULER_UNKNOWN_JOB', job });
    return openSigned(JOB, record.job, this.#modules.identity.peer);
  }

  async #loadEnd(job: JobId) {
    const corrupt = this.#catalog.corrupt.get(job);
    if (corrupt !== undefined) throw corrupt;
    const end = await this.#store.loadEnd(job);
    if (end !== undefined) return end;
    if (this.#catalog.has(job)) throw new SchedulerError({ code: 'SCHEDULER_JOB_HALTED', job });
    throw new SchedulerError({ code: 'SCHEDULER_UNKNOWN_JOB', job });
  }
}
