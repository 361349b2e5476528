import type { JobId } from '../../domain/ids.ts';
import { JOB, type Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { signObject, signObjects } from '../../proofs/signed-object.ts';
import { SchedulerError } from '../errors.ts';
import type { JobDraft, JobView } from '../interface.ts';
import type { JobStore, NewJob } from '../job-store.ts';
import type { RequesterMetrics } from '../metrics.ts';
import { jobIdOf } from '../object-ids.ts';
import type { JobRequesterOptions } from '../options.ts';
import { splitIntoWindows } from './batch-runner.ts';
import type { NoteJob } from './batches/job-batches.ts';
import type { ConfidentialIntake, SealedDraft } from './confidential/confidential-intake.ts';
import type { SecretsVault } from './confidential/secrets-vault.ts';
import { assertBlobsHeld, assertPossible, createJob, createSnapshotKey, type JobBody } from './describe-job.ts';
import { listJobBlobs } from './inline-blobs.ts';
import { pinAll } from './job-pins.ts';
import type { JobRequesterModules } from './requester-modules.ts';

export interface JobIntakeModules extends Pick<JobRequesterModules, 'identity' | 'blobs' | 'random' | 'clock'> {
  readonly store: Pick<JobStore, 'create'>;
  readonly metrics: RequesterMetrics;
  /** Absent: confidential jobs are refused. */
  readonly confidential?: { readonly intake: ConfidentialIntake; readonly vault: SecretsVault } | undefined;
  /** Jobs that have not ended; undefined while the requester does not run. */
  readonly countActive: () => number | undefined;
  /** Makes the run of a job, which is yet to be started. */
  readonly begin: (job: NewJob) => StartableRun;
  readonly forget: (job: JobId) => void;
  /** Jobs of one signature, on disk. */
  readonly carry: (jobs: readonly NewJob[]) => Promise<void>;
}

export interface StartableRun {
  readonly view: JobView;
  start(): void;
  stop(): void;
}

const NO_NOTES: NoteJob = () => [];

/** Takes jobs from drafts to disk, signed, and hands them on. */
export class JobIntake {
  readonly #modules: JobIntakeModules;
  readonly #options: JobRequesterOptions;

  constructor(modules: JobIntakeModules, options: JobRequesterOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** @throws SchedulerError */
  async submit(draft: JobDraft, note: NoteJob = NO_NOTES): Promise<JobView> {
    this.#assertRoom(1);
    const { confidential, ...open } = draft;
    if (confidential === undefined) return await this.#submitBody(open, { note, sealed: null });
    // Whoever notes where it stands submits it with others.
    if (note !== NO_NOTES) throw refuseTogether('it is in a batch');
    using sealed = await this.#seal(draft, confidential);
    return await this.#submitBody(sealed.body, { note, sealed });
  }

  /** @throws SchedulerError */
  async #seal(draft: JobDraft, section: NonNullable<JobDraft['confidential']>): Promise<SealedDraft> {
    // What cannot be is refused before anything is sealed.
    assertPossible(draft, this.#modules.clock.nowMs());
    const { confidential } = this.#modules;
    if (confidential !== undefined) return await confidential.intake.seal(draft, section);
    const reason = 'this node seals nothing';
    throw new SchedulerError({ code: 'SCHEDULER_CONFIDENTIAL_REFUSED', reason });
  }

  async #submitBody(
    body: JobBody,
    { note, sealed }: { readonly note: NoteJob; readonly sealed: SealedDraft | null },
  ): Promise<JobView> {
    const { identity, blobs, random, store, metrics, confidential } = this.#modules;
    const job = this.#createJob(body);
    using _inputs = pinAll(blobs, listJobBlobs(job));
    const [signed] = await Promise.all([signObject(JOB, job, identity), assertBlobsHeld([job], blobs)]);
    const id = jobIdOf(signed);
    const sealedSecrets = sealed === null ? undefined : confidential?.vault.seal(id, sealed.secrets);
    const fresh = { job: signed, snapshotKey: createSnapshotKey(job, random), sealedSecrets };
    const created = store.create([fresh], note(0, id));
    // Offers are asked for while the job is written; its lease is written, and sent, after it.
    const run = this.#modules.begin(fresh);
    run.start();
    try {
      await created;
    } catch (error) {
      run.stop();
      this.#modules.forget(id);
      throw error;
    }
    metrics.jobsSubmitted.increment();
    return run.view;
  }

  /** @throws SchedulerError */
  async submitMany(drafts: readonly JobDraft[], note: NoteJob = NO_NOTES): Promise<readonly JobId[]> {
    this.#assertRoom(drafts.length);
    const other = drafts.findIndex((draft) => draft.replication.replicas !== 1);
    const replicas = drafts[other]?.replication.replicas;
    if (replicas !== undefined) throw new SchedulerError({ code: 'SCHEDULER_BATCH_REPLICAS', index: other, replicas });
    const jobs = drafts.map((draft, index) => this.#createJob(requireOpen(draft, index)));
    const { blobs } = this.#modules;
    using _inputs = pinAll(blobs, jobs.flatMap(listJobBlobs));
    await assertBlobsHeld(jobs, blobs);
    const ids = new Map<number, JobId>();
    const written = await Promise.allSettled(
      splitIntoWindows(jobs, this.#options.batchWindow).map(async (window) => {
        const values = window.flatMap((index) => jobs[index] ?? []);
        const signed = await signObjects(JOB, values, this.#modules.identity);
        const placed = signed.map((job, position) => ({ index: window[position] ?? -1, id: jobIdOf(job) }));
        for (const { index, id } of placed) ids.set(index, id);
        await this.#startWindow(
          signed,
          placed.flatMap(({ index, id }) => note(index, id)),
        );
      }),
    );
    for (const result of written) if (result.status === 'rejected') throw result.reason;
    this.#modules.metrics.jobsSubmitted.increment({}, jobs.length);
    return jobs.flatMap((_, index) => ids.get(index) ?? []);
  }

  async #startWindow(jobs: readonly Signed<Job>[], notes: ReturnType<NoteJob>): Promise<void> {
    const { store, random, carry, countActive } = this.#modules;
    const created = jobs.map((job) => ({ job, snapshotKey: createSnapshotKey(job.value, random) }));
    await store.create(created, notes);
    if (countActive() !== undefined) await carry(created);
  }

  #assertRoom(count: number): void {
    const active = this.#modules.countActive();
    if (active === undefined) throw new SchedulerError({ code: 'SCHEDULER_NOT_STARTED' });
    const limit = this.#options.maxActiveJobs;
    if (active + count > limit) throw new SchedulerError({ code: 'SCHEDULER_TOO_MANY_JOBS', active, limit });
  }

  #createJob(body: JobBody): Job {
    const { identity, random, clock } = this.#modules;
    const network = this.#options.networkId;
    return createJob(body, { network, requester: identity.peer, random, nowMs: clock.nowMs() });
  }
}

function requireOpen({ confidential, ...body }: JobDraft, index: number): JobBody {
  if (confidential === undefined) return body;
  throw refuseTogether(`it is job ${index} of several that are submitted together`);
}

function refuseTogether(how: string): SchedulerError {
  const reason = `${how}, and each attempt has to show evidence of its own`;
  return new SchedulerError({ code: 'SCHEDULER_CONFIDENTIAL_REFUSED', reason });
}
