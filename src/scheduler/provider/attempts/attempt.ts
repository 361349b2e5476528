import type { IsolationLevel } from '../../../domain/capability.ts';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { AttemptEvent } from '../../../domain/messages.ts';
import type { ATTEMPT_FAILURES } from '../../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../../domain/signed.ts';
import { hasFuel } from '../../../domain/workload.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import type { AttemptCheckpoints } from '../checkpoints/attempt-checkpoints.ts';
import { type AttemptSign, SEQUENCES_PER_GENERATION } from '../checkpoints/attempt-origin.ts';
import type { KnownLinks } from '../checkpoints/known-links.ts';
import type { SealedAttempt } from '../confidential/sealed-attempt.ts';
import { UNREAD_ATTEMPT_BYTES } from '../constants.ts';
import { createLeaseRecord, type LeaseRecord } from '../leases/lease-record.ts';
import type { ConclusionSubject } from '../results/conclusion.ts';
import type { AttemptFollower, FeedSource } from './attempt-feed.ts';
import { EventLog, estimateEventBytes, type RecalledCheckpoint } from './event-log.ts';
import type { Run } from './run.ts';

export type AttemptFailureCode = (typeof ATTEMPT_FAILURES)[number];

/** `concluding`: the program has ended and its commitment or receipt is being written. */
export type AttemptPhase = 'queued' | 'fetching' | 'running' | 'concluding' | 'ended';

export interface StopReason {
  readonly code: AttemptFailureCode;
  readonly detail: string;
}

/** What a program took, whole ms. */
export interface AttemptUsage {
  readonly wallTimeMs: number;
  readonly cpuTimeMs: number;
}

const NO_USAGE: AttemptUsage = { wallTimeMs: 0, cpuTimeMs: 0 };

/** What the process before left of an attempt that is gone on with. */
export interface RestoredAttempt {
  /** How often it was taken up, this time included. */
  readonly generation: number;
  readonly links: KnownLinks;
  /** In all processes before, as far as it was written down. */
  readonly used: AttemptUsage;
  readonly heldIndex: number | null;
  readonly lastProgress?: SignedWire | undefined;
}

export interface AttemptOptions {
  /** Unix ms. */
  readonly acceptedAtMs: number;
  readonly acceptedAtMonotonicMs: number;
  readonly executor: Executor;
  readonly isolation: IsolationLevel;
  /** How long after its end its result is kept, ms, as its requester was told. */
  readonly keptForMs?: number | undefined;
  readonly restored?: RestoredAttempt;
  /** Of a confidential one: its evidence is to be of GPUs too, as its terms say. */
  readonly showsGpus?: boolean;
}

export interface EmitOptions {
  /** Learns of the event in another way. */
  readonly except?: AttemptFollower | undefined;
  /** To be given to the event; by default the next one. */
  readonly sequence?: number;
}

/** One live execution of a job under one lease. Everything that must outlive the process is in its LeaseRecord. */
export class Attempt implements FeedSource {
  readonly id: LeaseId;
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  readonly run: Run;
  readonly options: AttemptOptions;
  readonly log: EventLog;
  readonly followers = new Set<AttemptFollower>();
  phase: AttemptPhase = 'queued';
  /** When the lease began or was last renewed by signed progress; monotonic ms. */
  renewedAtMs: number;
  /** True once the executor gave a sign of life after the last renewal. */
  hasLife = false;
  progressSequence = 0;
  /** CPU time as in `AttemptSign`. */
  progress: { fuel: number | null; step: number; cpuTimeMs: number };
  /** The last that was signed, also by processes before this one. */
  lastProgress: SignedWire | null;
  /** Number of the event that told it; null where none has, or a process before this one did. */
  progressEvent: number | null = null;
  startedAtMs: number;
  /** Since when its program runs in this process, monotonic ms; null before. */
  runningSinceMs: number | null = null;
  /** Newest link of which a third party has said that it holds the snapshot. */
  heldIndex: number | null;
  stopReason: StopReason | null = null;
  /** True once it is left for the process that comes after this one. */
  isSuspended = false;
  /** Set while the program runs, where it makes checkpoints. */
  checkpoints: AttemptCheckpoints | null = null;
  /** Of a confidential one, from its release on. */
  sealed: SealedAttempt | null = null;
  /** Of what it put into the blob store, until its result is kept. */
  readonly pins: Disposable[] = [];
  readonly #controller = new AbortController();
  readonly #pausing = new AbortController();
  #pauseReason: StopReason | null = null;

  constructor(signed: { readonly job: Signed<Job>; readonly lease: Signed<Lease> }, run: Run, options: AttemptOptions) {
    this.job = signed.job;
    this.lease = signed.lease;
    // The id of a lease's payload is its lease id; of a job's, its job id.
    this.id = signed.lease.id as string as LeaseId;
    this.run = run;
    this.options = options;
    const firstSequence = (options.restored?.generation ?? 0) * SEQUENCES_PER_GENERATION;
    this.log = new EventLog(this.id, firstSequence, { isSealed: this.isConfidential });
    if (options.restored !== undefined) this.log.recall(noteLinks(options.restored.links));
    this.progressSequence = firstSequence;
    const fuel = hasFuel(signed.job.value.workload.kind) ? 0 : null;
    this.progress = { fuel, step: 0, cpuTimeMs: this.usedBefore.cpuTimeMs };
    this.heldIndex = options.restored?.heldIndex ?? null;
    this.lastProgress = options.restored?.lastProgress ?? null;
    this.renewedAtMs = options.acceptedAtMonotonicMs;
    this.startedAtMs = options.acceptedAtMs;
  }

  get jobId(): JobId {
    return this.lease.value.job;
  }

  get requester(): PeerKey {
    return this.lease.value.requester;
  }

  /** True if its state can be kept and gone on with: by the job, and a batch keeps nothing of its attempts. */
  get isPausable(): boolean {
    return this.job.value.checkpoints !== undefined && !this.run.options.isBatch;
  }

  /** Its inputs, outputs, logs and metrics are sealed wherever they leave memory. */
  get isConfidential(): boolean {
    return this.job.value.confidential !== undefined;
  }

  /** Of sealed snapshots; null where the job does not ask for sealing. */
  get snapshotKey(): Uint8Array | null {
    if (this.job.value.checkpoints?.sealed !== true) return null;
    return this.run.options.snapshotKeys.get(this.id) ?? null;
  }

  get isOver(): boolean {
    return this.phase === 'ended';
  }

  get lastSequence(): number {
    return this.log.lastSequence;
  }

  /** In an answer that holds it alone. */
  get heldBytes(): number {
    return this.isOver ? UNREAD_ATTEMPT_BYTES + this.log.sizeBytes : 0;
  }

  open(): EventLog {
    return this.log;
  }

  /** What a conclusion says of where it was reached. */
  get subject(): ConclusionSubject {
    const { executor, isolation } = this.options;
    const { kind, instrumenter } = executor;
    return { job: this.jobId, kind, instrumenter, isolation };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts once it was asked to end at its next checkpoint. */
  get pausing(): AbortSignal {
    return this.#pausing.signal;
  }

  /** Why it is to end at its next checkpoint; null where it is not. */
  get pauseReason(): StopReason | null {
    return this.#pauseReason;
  }

  /** What its program used in the processes before this one. */
  get usedBefore(): AttemptUsage {
    return this.options.restored?.used ?? NO_USAGE;
  }

  /** What its program has used in this process, as far as it is known while it runs. */
  computeUsage(clock: Pick<Clock, 'monotonicMs'>): AttemptUsage {
    if (this.runningSinceMs === null) return NO_USAGE;
    const wallTimeMs = Math.max(0, Math.trunc(clock.monotonicMs() - this.runningSinceMs));
    return { wallTimeMs, cpuTimeMs: Math.max(0, Math.trunc(this.progress.cpuTimeMs - this.usedBefore.cpuTimeMs)) };
  }

  /** What the next process has to know of it besides its origin and its links. */
  describeSign(clock: Clock): AttemptSign {
    const { generation = 0, links = [] } = this.options.restored ?? {};
    const used = this.computeUsage(clock);
    return {
      version: 1,
      generation,
      atMs: UnixMs(clock.nowMs()),
      linksBefore: links.length,
      wallTimeMs: this.usedBefore.wallTimeMs + used.wallTimeMs,
      cpuTimeMs: this.usedBefore.cpuTimeMs + used.cpuTimeMs,
      heldIndex: this.heldIndex,
      ...(this.lastProgress === null ? {} : { lastProgress: this.lastProgress }),
    };
  }

  /** The record of this lease as it was journalled before it was countersigned. */
  describeAccepted(): LeaseRecord {
    return createLeaseRecord({
      ...this.subject,
      requester: this.requester,
      commitReveal: this.lease.value.commitReveal,
      acceptedAtMs: UnixMs(this.options.acceptedAtMs),
      keptForMs: this.options.keptForMs,
      isConfidential: this.isConfidential,
    });
  }

  /** Ends the program; the attempt then fails with this reason, whatever the program still gave. First reason wins. */
  stop(reason: StopReason): void {
    if (this.stopReason !== null || this.isSuspended || this.phase === 'concluding' || this.phase === 'ended') return;
    this.stopReason = reason;
    this.#controller.abort(new DOMException(reason.detail, 'AbortError'));
  }

  /** Ends the program at its next checkpoint. First reason wins. */
  pause(reason: StopReason): void {
    if (this.#pauseReason !== null) return;
    this.#pauseReason = reason;
    this.#pausing.abort();
  }

  /** Ends the program, and nothing is said of how the attempt ended: it has not. */
  suspend(): void {
    if (this.stopReason !== null || this.phase === 'concluding' || this.phase === 'ended') return;
    this.isSuspended = true;
    this.#controller.abort(new DOMException('the provider is stopping', 'AbortError'));
  }

  /** Its outputs are kept in another way, or named by no result. */
  releasePins(): void {
    for (const pin of this.pins.splice(0)) pin[Symbol.dispose]();
  }

  emit(event: AttemptEvent, nowMs: number, { except, sequence }: EmitOptions = {}): void {
    this.log.append(event, nowMs, sequence);
    if (event.kind === 'progress') this.progressEvent = this.log.lastSequence;
    const isSpoken = event.kind === 'log' || event.kind === 'metric' || event.kind === 'sealed';
    const urgency = isSpoken ? 'soon' : 'now';
    const sizeBytes = estimateEventBytes(event);
    for (const follower of this.followers) {
      if (follower !== except) follower.onEvent(this, sizeBytes, urgency);
    }
  }
}

/** Checkpoints that were told before the restart, for a follower that has not heard of all of them. */
function noteLinks(links: KnownLinks): readonly RecalledCheckpoint[] {
  return links.map(({ sequence, atMs }, recall) => ({ sequence, atMs, recall }));
}
