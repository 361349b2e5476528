import type { IsolationLevel } from '../../../domain/capability.ts';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { AttemptEvent } from '../../../domain/messages.ts';
import type { ATTEMPT_FAILURES } from '../../../domain/receipt.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import { createLeaseRecord, type LeaseRecord } from '../leases/lease-record.ts';
import type { ConclusionSubject } from '../results/conclusion.ts';
import type { AttemptFollower, FeedSource } from './attempt-feed.ts';
import { EventLog, estimateEventBytes } from './event-log.ts';
import type { Run } from './run.ts';

export type AttemptFailureCode = (typeof ATTEMPT_FAILURES)[number];

/** `concluding`: the program has ended and its commitment or receipt is being written. */
export type AttemptPhase = 'queued' | 'fetching' | 'running' | 'concluding' | 'ended';

export interface StopReason {
  readonly code: AttemptFailureCode;
  readonly detail: string;
}

export interface AttemptOptions {
  /** Unix ms. */
  readonly acceptedAtMs: number;
  readonly acceptedAtMonotonicMs: number;
  readonly executor: Executor;
  readonly isolation: IsolationLevel;
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
  progress = { fuel: 0, step: 0, cpuTimeMs: 0 };
  startedAtMs: number;
  stopReason: StopReason | null = null;
  readonly #controller = new AbortController();

  constructor(signed: { readonly job: Signed<Job>; readonly lease: Signed<Lease> }, run: Run, options: AttemptOptions) {
    this.job = signed.job;
    this.lease = signed.lease;
    // The id of a lease's payload is its lease id; of a job's, its job id.
    this.id = signed.lease.id as string as LeaseId;
    this.run = run;
    this.options = options;
    this.log = new EventLog(this.id);
    this.renewedAtMs = options.acceptedAtMonotonicMs;
    this.startedAtMs = options.acceptedAtMs;
  }

  get jobId(): JobId {
    return this.lease.value.job;
  }

  get requester(): PeerKey {
    return this.lease.value.requester;
  }

  get isOver(): boolean {
    return this.phase === 'ended';
  }

  /** What a conclusion says of where it was reached. */
  get subject(): ConclusionSubject {
    const { executor, isolation } = this.options;
    return { job: this.jobId, instrumenter: executor.instrumenter, isolation };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The record of this lease as it was journalled before it was countersigned. */
  describeAccepted(): LeaseRecord {
    return createLeaseRecord({
      ...this.subject,
      requester: this.requester,
      commitReveal: this.lease.value.commitReveal,
      acceptedAtMs: UnixMs(this.options.acceptedAtMs),
    });
  }

  /** Ends the program; the attempt then fails with this reason, whatever the program still gave. First reason wins. */
  stop(reason: StopReason): void {
    if (this.stopReason !== null || this.phase === 'concluding' || this.phase === 'ended') return;
    this.stopReason = reason;
    this.#controller.abort(new DOMException(reason.detail, 'AbortError'));
  }

  /** `except` learns of the event in another way. */
  emit(event: AttemptEvent, nowMs: number, except?: AttemptFollower): void {
    this.log.append(event, nowMs);
    const urgency = event.kind === 'log' || event.kind === 'metric' ? 'soon' : 'now';
    const sizeBytes = estimateEventBytes(event);
    for (const follower of this.followers) {
      if (follower !== except) follower.onEvent(this, sizeBytes, urgency);
    }
  }
}
