import type { JobId, ObjectId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import { BATCH, type Signed } from '../../domain/signed.ts';
import { listProgramText } from '../../domain/workload.ts';
import { InternalError } from '../../lib/errors.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import { BATCH_PATIENCE_MS, BATCH_WINDOW_BYTES } from '../constants.ts';
import type { NewJob } from '../job-store.ts';
import type { JobRequesterOptions } from '../options.ts';
import { sleep } from './backoff.ts';
import { BatchMember } from './batch-member.ts';
import { BatchWindow, type BatchWindowModules } from './batch-window.ts';
import type { JobLedgerModules } from './job-ledger.ts';
import { describeSearch } from './offer-search.ts';

export interface BatchRunnerModules extends Omit<BatchWindowModules, 'onEnded' | 'onLeft'> {
  readonly hub: JobLedgerModules['hub'];
  readonly onEnded: (members: readonly BatchMember[]) => void;
  readonly onLeft: (member: BatchMember) => void;
  /** Our own store failed: these are taken up again at the next start. */
  readonly onHalted: (members: readonly BatchMember[], error: unknown) => void;
}

interface Carried {
  readonly member: BatchMember;
  readonly window: BatchWindow;
}

/** Carries batches window by window: a few at a time, the next once the leases of the one before are accepted. */
export class BatchRunner {
  readonly #modules: BatchRunnerModules;
  readonly #options: JobRequesterOptions;
  readonly #carried = new Map<JobId, Carried>();
  readonly #controller = new AbortController();
  readonly #queue: { readonly window: BatchWindow; readonly members: readonly BatchMember[] }[] = [];
  /** Windows that take up a turn. */
  readonly #underWay = new Set<BatchWindow>();
  #isStarting = false;

  constructor(modules: BatchRunnerModules, options: JobRequesterOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  get size(): number {
    return this.#carried.size;
  }

  get(job: JobId): BatchMember | undefined {
    return this.#carried.get(job)?.member;
  }

  /** True if the job was carried here and goes on by itself now. */
  release(job: JobId): boolean {
    const carried = this.#carried.get(job);
    return carried?.window.release(carried.member) === true;
  }

  /** Takes on jobs that share one signature. They are on disk. */
  async add(created: readonly NewJob[]): Promise<void> {
    const jobs = created.map(({ job }) => job);
    const subject = await computeSubject(jobs);
    const { store, hub } = this.#modules;
    const window = new BatchWindow(
      {
        ...this.#modules,
        onEnded: (members) => {
          for (const member of members) this.#carried.delete(member.id);
          this.#modules.onEnded(members);
        },
        onLeft: (member) => {
          this.#carried.delete(member.id);
          this.#modules.onLeft(member);
        },
      },
      { requester: this.#options, subject, jobs, signal: this.#controller.signal },
    );
    const members = created.map(
      (job) => new BatchMember({ store, hub }, { ...job, search: () => describeSearch(window.search) }),
    );
    for (const member of members) this.#carried.set(member.id, { member, window });
    this.#queue.push({ window, members });
    void this.#startNext();
  }

  stop(): void {
    this.#controller.abort();
    this.#queue.length = 0;
    this.#carried.clear();
  }

  async #startNext(): Promise<void> {
    if (this.#isStarting || this.#underWay.size >= this.#options.batchWindowsInFlight) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    const { window, members } = next;
    this.#isStarting = true;
    this.#underWay.add(window);
    const carried = members.filter((member) => this.#carried.has(member.id));
    void window
      .run(carried)
      .catch((error: unknown) => this.#halt(members, error))
      .finally(() => this.#endTurn(window));
    // A provider lets batches wait behind one that runs, not behind one that is merely offered.
    await this.#waitFor(window);
    this.#isStarting = false;
    void this.#startNext();
  }

  /** A window that nobody takes goes on looking, but does not hold up those behind it. */
  async #waitFor(window: BatchWindow): Promise<void> {
    const patience = new AbortController();
    const signal = AbortSignal.any([patience.signal, this.#controller.signal]);
    const late = sleep(this.#modules.clock, BATCH_PATIENCE_MS, signal).then(() => 'late' as const);
    const outcome = await Promise.race([window.leased, late]);
    patience.abort();
    if (outcome === 'late') this.#underWay.delete(window);
  }

  #endTurn(window: BatchWindow): void {
    this.#underWay.delete(window);
    void this.#startNext();
  }

  #halt(members: readonly BatchMember[], error: unknown): void {
    const halted = members.filter((member) => this.#carried.delete(member.id));
    if (halted.length > 0 && !this.#controller.signal.aborted) this.#modules.onHalted(halted, error);
  }
}

/** Id of the statement that signs these jobs together: the subject of their offer. */
async function computeSubject(jobs: readonly Signed<Job>[]): Promise<ObjectId> {
  const [first] = jobs;
  if (first?.wire.kind !== 'batch') throw new InternalError('a batch is signed together');
  return (await openSigned(BATCH, { kind: 'envelope', envelope: first.wire.root }, first.signer)).id;
}

/** Jobs that one offer can cover, in groups of what one request can carry. The order in a group is the order given. */
export function splitIntoWindows(jobs: readonly Job[], maxJobs: number): number[][] {
  const groups = Map.groupBy(
    jobs.map((_, index) => index),
    (index) => describeTerms(jobs[index]),
  );
  const windows: number[][] = [];
  for (const group of groups.values()) {
    let window: number[] = [];
    let sizeBytes = 0;
    for (const index of group) {
      const jobBytes = estimateBytes(jobs[index]);
      if (window.length >= maxJobs || (window.length > 0 && sizeBytes + jobBytes > BATCH_WINDOW_BYTES)) {
        windows.push(window);
        window = [];
        sizeBytes = 0;
      }
      window.push(index);
      sizeBytes += jobBytes;
    }
    windows.push(window);
  }
  return windows;
}

function describeTerms(job: Job | undefined): string {
  if (job === undefined) return '';
  const {
    workload,
    resources,
    isolation,
    priceCeiling,
    capabilityClass,
    priority = 'normal',
    private: isPrivate,
  } = job;
  return JSON.stringify([workload.kind, resources, isolation, priceCeiling, capabilityClass, priority, isPrivate]);
}

/** An upper estimate of a signed job and its lease on the wire: fixed fields, then what may be long. */
function estimateBytes(job: Job | undefined): number {
  if (job === undefined) return 0;
  const { workload, inputs } = job;
  const texts = [...listProgramText(workload), ...inputs.map(({ path }) => path)];
  return 1_200 + inputs.length * 64 + texts.reduce((sum, text) => sum + text.length * 3 + 4, 0);
}
