import { UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { AttemptEvent, InlineBlob, JobRequest, JobResponse, SequencedEvent } from '../../domain/messages.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { TokenBucket } from '../../lib/token-bucket.ts';
import type { PeerTransport } from '../../network/interface.ts';
import { ACCEPT_TIMEOUT_MS, REATTACH_BACKOFF_MS } from '../constants.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { type Attempt, isEnded, isRunning, isStanding } from '../job-machine-state.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { AttemptCase } from './attempt-case.ts';
import { AttemptCourse } from './attempt-course.ts';
import type { AttemptHooks } from './attempt-hooks.ts';
import { createAttachRequest, createLeaseRequest } from './attempt-requests.ts';
import { sleep } from './backoff.ts';
import type { CheckpointFollower } from './checkpoint-follower.ts';
import { expectAttestation } from './confidential/check-attestation.ts';
import { isPrinted, type PrintedEvent, type PrintedEvents } from './confidential/printed-events.ts';
import { explainForgotten } from './explain-forgotten.ts';
import type { JobLedger, LedgerExtras } from './job-ledger.ts';
import type { JobLog } from './job-log.ts';
import { FINISHED_AFTER_LEASE, type RunTimes } from './judge-lateness.ts';
import { judgeLeaseTime } from './judge-lease-time.ts';
import { OwnFault } from './own-fault.ts';
import { createStepBucket } from './step-bucket.ts';
import { verifyAcceptances, verifyCommitment, verifyProgress } from './verify-attempt.ts';
import { verifyReceipt } from './verify-receipt.ts';

export interface AttemptDriverModules {
  readonly transport: Pick<PeerTransport, 'stream'>;
  readonly clock: Clock;
  readonly ledger: JobLedger;
  readonly log: JobLog;
  readonly metrics: Pick<RequesterMetrics, 'peerFaults' | 'checkpointsReceived'>;
}

export interface AttemptDriverOptions {
  readonly job: Signed<Job>;
  readonly attempt: AttemptCase;
  /** Highest event sequence seen, after a restart. */
  readonly lastSequence: number;
  readonly inlineBlobs: readonly InlineBlob[];
  /** Goes with the lease where the job's snapshots are sealed. */
  readonly snapshotKey: Uint8Array | null;
  /** Null where the job makes no checkpoints. */
  readonly checkpoints: CheckpointFollower | null;
  /** Opens what the attempt prints, where it is sealed. */
  readonly printed: PrintedEvents;
  readonly hooks: AttemptHooks;
}

/**
 * Follows one attempt from its lease to its commitment or receipt: verifies what is signed, renews the lease on
 * progress, attaches again when the stream drops, and has it count as lost when its lease ends. It listens on while the job
 * is open: who was cut off and is back is judged by its lease, not by luck (docs/scheduling.md).
 */
export class AttemptDriver {
  readonly #modules: AttemptDriverModules;
  readonly #options: AttemptDriverOptions;
  readonly #controller = new AbortController();
  readonly #steps: TokenBucket;
  readonly #course: AttemptCourse;
  #lastSequence: number;
  /** Sequence of the last signed progress that this driver heard. */
  #lastProgress = 0;
  #timer: Disposable | undefined;
  /** While the node was down nobody listened: a lease counts as silent only once it had its time to be heard again. */
  #patientUntilMs = 0;

  constructor(modules: AttemptDriverModules, options: AttemptDriverOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#course = new AttemptCourse(modules, options.attempt);
    this.#lastSequence = options.lastSequence;
    this.#steps = createStepBucket(options.attempt.lease.value, modules.clock);
  }

  /** Sends the lease, which must be on disk, and follows. */
  start(): void {
    this.#run(createLeaseRequest(this.#options));
  }

  /** Follows an attempt that was accepted before a restart. */
  resume(): void {
    this.#patientUntilMs = this.#modules.clock.nowMs() + this.#lease.value.durationMs;
    this.#course.expectNews();
    this.#run(this.#attachRequest());
  }

  /** Counts as lost, and may still bring a result. */
  get isAwaited(): boolean {
    return this.#course.isAwaited;
  }

  /** It ran when this node went down, and nobody has heard yet what became of it. */
  get isUnheard(): boolean {
    return !this.#isHeard && this.#course.isUnheard;
  }

  /** Nothing more is expected of an attempt that counts as lost. */
  settle(): void {
    this.#course.settle();
    this.#options.hooks.onChange();
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#controller.abort();
  }

  #run(request: JobRequest): void {
    this.#watchLease();
    this.#follow(request).catch((error: unknown) => {
      if (!this.#controller.signal.aborted) this.#options.hooks.onDefect(error);
    });
  }

  get #lease() {
    return this.#options.attempt.lease;
  }

  get #attempt(): Attempt | undefined {
    return this.#course.attempt;
  }

  /** True once there is nothing more to hear on the stream. */
  get #isHeard(): boolean {
    const attempt = this.#attempt;
    const isEnd = isEnded(this.#modules.ledger.state);
    return isEnd || attempt === undefined || !(isRunning(attempt) || this.isAwaited);
  }

  #attachRequest(): JobRequest {
    return createAttachRequest(this.#options.attempt.id, this.#lastSequence);
  }

  async #follow(first: JobRequest): Promise<void> {
    let backoffMs: number = REATTACH_BACKOFF_MS.first;
    for (let drops = 0, request = first; ; drops += 1) {
      const before = this.#lastSequence;
      const reason = await this.#readStream(request);
      if (this.#controller.signal.aborted || this.#isHeard) return;
      const isAccepted = this.#attempt?.isAccepted === true;
      // The same lease may be sent again (it is never run twice), but nobody is bound yet: try once, then elsewhere.
      if (!isAccepted && drops > 0) return this.fail('UNREACHABLE', reason, false);
      if (isAccepted) this.#apply({ kind: 'unreachable', ...this.#now(), reason: reason.slice(0, 300) });
      if (this.#lastSequence > before) backoffMs = REATTACH_BACKOFF_MS.first;
      await sleep(this.#modules.clock, backoffMs, this.#controller.signal);
      backoffMs = Math.min(backoffMs * 2, REATTACH_BACKOFF_MS.longest);
      if (this.#isHeard) return;
      request = isAccepted ? this.#attachRequest() : first;
    }
  }

  /** Reads one stream to its end; gives why it ended. */
  async #readStream(request: JobRequest): Promise<string> {
    const { signal } = this.#controller;
    const { provider, durationMs } = this.#lease.value;
    // A lease is answered at once; an attach may wait for the next progress.
    const timeoutMs = request.op === 'lease' ? Math.min(ACCEPT_TIMEOUT_MS, durationMs) : durationMs;
    try {
      for await (const response of this.#modules.transport.stream(provider, 'job', request, { signal, timeoutMs })) {
        await this.#handle(response);
        const attempt = this.#attempt;
        if (attempt === undefined || attempt.state === 'revealed') break;
        if (!isStanding(attempt) && !this.isAwaited) break;
      }
      return 'the stream ended before the attempt did';
    } catch (error) {
      if (error instanceof OwnFault) throw error.cause;
      return describeError(error);
    }
  }

  /** Faults of our own must not be taken for the provider's. */
  async #handle(response: JobResponse): Promise<void> {
    try {
      await this.#handleResponse(response);
    } catch (error) {
      throw new OwnFault(error);
    }
  }

  async #handleResponse(response: JobResponse): Promise<void> {
    switch (response.kind) {
      case 'refused':
        this.#options.hooks.onRefused(response.refusal);
        return this.fail(response.refusal.code, response.refusal.detail, false);
      case 'leased':
        return this.#accept(response);
      case 'events':
        for (const event of response.events) await this.#handleEvent(event);
        return void this.#modules.log.flush().catch(this.#options.hooks.onDefect);
      case 'unknown-lease':
        return this.#forget();
      case 'done':
        return;
      case 'receipts':
      case 'set-signed':
      case 'revealed':
        return this.blame('UNEXPECTED_ANSWER', `it answered '${response.kind}' where events were expected`);
      default:
        return response satisfies never;
    }
  }

  async #accept(response: Extract<JobResponse, { kind: 'leased' }>): Promise<void> {
    const checked = await verifyAcceptances(response.acceptances, [this.#lease]);
    if (checked.kind === 'invalid') return this.blame(checked.code, checked.reason);
    const [acceptance] = checked.value;
    if (acceptance === undefined) return;
    const { resultsKeptForMs } = acceptance.value;
    const promise = resultsKeptForMs === undefined ? {} : { resultsKeptForMs };
    this.#options.attempt.acceptance = acceptance.value;
    const leaseEndsAtMs = this.#course.computeFirstEnd();
    const event = { kind: 'accepted', ...this.#now(), leaseEndsAtMs, ...promise } as const;
    this.#apply(event, { objects: [{ lease: event.lease, kind: 'acceptance', wire: acceptance.wire }] });
    this.#options.hooks.onAccepted();
  }

  async #handleEvent(sequenced: SequencedEvent): Promise<void> {
    const { lease, sequence, event } = sequenced;
    // Events come again after an attach; what was seen is not taken twice.
    if (lease !== this.#options.attempt.id || sequence <= this.#lastSequence) return;
    this.#lastSequence = sequence;
    if (this.#attempt?.isAccepted !== true || this.#isHeard) return;
    if (this.#attempt.state === 'unreachable') this.#apply({ kind: 'reattached', ...this.#now() });
    if (isPrinted(event)) return await this.#takePrinted(event, sequenced);
    const isStep = event.kind === 'phase' || event.kind === 'progress';
    if (isStep && !this.#steps.take(this.#modules.clock.monotonicMs())) {
      return this.blame('EVENT_FLOOD', 'it sends phases and progress faster than anybody needs');
    }
    await this.#handleStep(event);
  }

  async #takePrinted(event: PrintedEvent, { lease, sequence, atMs }: SequencedEvent): Promise<void> {
    const read = await this.#options.printed.read(event);
    if (this.#controller.signal.aborted) return;
    if (read.kind === 'invalid') return this.blame(read.code, read.reason);
    const entry = { atMs, replica: this.#lease.value.replica, event: read.value };
    this.#modules.log.append(lease, sequence, entry);
  }

  async #handleStep(event: Exclude<AttemptEvent, PrintedEvent>): Promise<void> {
    switch (event.kind) {
      case 'phase':
        return this.#apply({ kind: 'phase', ...this.#now(), phase: event.phase });
      case 'progress':
        return this.#renew(event.progress);
      case 'committed':
        return this.#commit(event.commitment);
      case 'checkpoint':
        return this.#takeCheckpoint(event.checkpoint);
      case 'held':
        return this.#options.checkpoints?.confirm(event.index);
      case 'receipt':
        return this.#receive(event.receipt, event.inlineBlobs);
      default:
        return event satisfies never;
    }
  }

  async #renew(wire: SignedWire): Promise<void> {
    const checked = await verifyProgress(wire, this.#lease, this.#lastProgress);
    if (checked.kind === 'invalid') return this.blame(checked.code, checked.reason);
    const { sequence, fuel, step, cpuTimeMs, atMs } = checked.value;
    this.#lastProgress = sequence;
    // Heard before a restart and sent again because it was asked for: it renews nothing.
    if (sequence <= (this.#options.attempt.progress?.value.sequence ?? 0)) return;
    this.#options.attempt.progress = { value: checked.value, wire };
    const now = this.#now();
    const leaseEndsAtMs = this.#course.renew(atMs);
    if (this.isAwaited) return this.#takeUpAgain(leaseEndsAtMs);
    this.#apply(
      { kind: 'progress', ...now, sequence, fuel, step, cpuTimeMs, leaseEndsAtMs },
      { objects: [{ lease: now.lease, kind: 'progress', wire }] },
    );
  }

  async #takeCheckpoint(wire: SignedWire): Promise<void> {
    const { checkpoints } = this.#options;
    if (checkpoints === null) return this.blame('CHECKPOINT_INVALID', 'the job makes no checkpoints');
    const checked = await checkpoints.take(wire);
    if (checked.kind === 'invalid') return this.blame(checked.code, checked.reason);
    this.#modules.metrics.checkpointsReceived.increment();
  }

  async #commit(wire: SignedWire): Promise<void> {
    const checked = await verifyCommitment(wire, this.#lease);
    if (checked.kind === 'invalid') return this.blame(checked.code, checked.reason);
    const { committedAtMs: atMs } = checked.value.value;
    if (await this.#isTooLate({ startedAtMs: atMs, finishedAtMs: atMs }, wire)) return;
    // Nobody asks again, after a restart, for what came before the end of an attempt.
    await this.#modules.log.flush();
    const now = this.#now();
    const { before, objects } = this.#course.describeReturn();
    const { attempt } = this.#options;
    const known = attempt.commitment;
    attempt.commitment = checked.value;
    const events = [...before, { kind: 'committed', ...now } as const];
    const extras = { objects: [...objects, { lease: now.lease, kind: 'commitment' as const, wire }] };
    if (this.#applyAll(events, extras) || before.length === 0) return;
    attempt.commitment = known;
    await this.#course.keepLate(wire);
    this.settle();
  }

  /** A receipt on the stream: the result where nothing is committed to, else only the end of a failed attempt. */
  async #receive(wire: SignedWire, inlineBlobs: readonly InlineBlob[]): Promise<void> {
    const { job, attempt } = this.#options;
    const instrumenter = this.#attempt?.instrumenter ?? '';
    const { lease } = attempt;
    const attested = expectAttestation(this.#attempt, attempt);
    const checked = await verifyReceipt(wire, { job, lease, instrumenter, committed: null, course: null, attested });
    if (checked.kind === 'invalid') return this.blame(checked.code, checked.reason);
    const { outcome } = checked.value.value.result;
    if (outcome.kind === 'attempt-failed') return this.#endUnfinished(outcome);
    if (attempt.lease.value.commitReveal) return this.blame('REVEALED_EARLY', 'it revealed before it committed');
    if (await this.#isTooLate(checked.value.value, wire)) return;
    await this.#modules.log.flush();
    this.#options.hooks.onReceipt(checked.value, inlineBlobs, this.#course.describeReturn());
  }

  /** What came too late is kept, and never counts. */
  async #isTooLate(run: RunTimes, wire: SignedWire): Promise<boolean> {
    const lateness = this.#course.findLateness(run);
    if (lateness === undefined) return false;
    await this.#course.keepLate(wire);
    this.fail(FINISHED_AFTER_LEASE, lateness, true);
    return true;
  }

  #takeUpAgain(leaseEndsAtMs: UnixMs): void {
    const taken = this.#course.describeTakeUp(leaseEndsAtMs);
    if (taken !== undefined && this.#applyAll(taken.before, { objects: taken.objects })) this.#watchLease();
  }

  #forget(): void {
    const { acceptance, progress } = this.#options.attempt;
    const { code, reason } = explainForgotten({ acceptance, progress }, this.#modules.clock.nowMs());
    this.fail(code, reason, true);
  }

  /** A pause that nobody asked for is a failure like any other. */
  #endUnfinished({ code, detail }: Extract<Receipt['result']['outcome'], { kind: 'attempt-failed' }>): void {
    if (code === 'PAUSED' && this.#attempt?.isPauseAsked === true) {
      return this.#apply({ kind: 'attempt-paused', ...this.#now(), reason: detail });
    }
    this.fail(code, detail, true);
  }

  #now(): Pick<Attempt, 'lease'> & { atMs: UnixMs } {
    return { atMs: UnixMs(this.#modules.clock.nowMs()), lease: this.#options.attempt.id };
  }

  #watchLease(): void {
    this.#timer?.[Symbol.dispose]();
    const attempt = this.#attempt;
    if (attempt === undefined || !isRunning(attempt) || this.#controller.signal.aborted) return;
    const { durationMs } = this.#lease.value;
    const { wallTimeMs } = this.#options.job.value.resources;
    const own = { nowMs: this.#modules.clock.nowMs(), patientUntilMs: this.#patientUntilMs };
    const verdict = judgeLeaseTime(attempt, { ...own, durationMs, wallTimeMs });
    if (verdict.kind === 'expired') return this.#apply({ kind: 'lease-expired', ...this.#now() });
    if (verdict.kind === 'overdue') return this.fail('OVERDUE', 'it renews its lease beyond the time limit', true);
    this.#timer = this.#modules.clock.schedule(verdict.delayMs, () => this.#watchLease());
  }

  /** What it sent cannot be: the attempt is over, the job goes on without it. */
  blame(code: string, reason: string): void {
    this.#modules.metrics.peerFaults.increment({ code });
    this.fail(code, reason, true);
  }

  /** Aborts when it is not followed any more. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  fail(code: string, reason: string, isCounted: boolean): void {
    if (this.isAwaited) return this.settle();
    this.#apply({ kind: 'attempt-failed', ...this.#now(), code, reason: reason.slice(0, 300), isCounted });
  }

  #apply(event: JobMachineEvent, extras: LedgerExtras = {}): void {
    this.#applyAll([event], extras);
  }

  #applyAll(events: readonly JobMachineEvent[], extras: LedgerExtras): boolean {
    const applied = this.#modules.ledger.applyAll(events, extras);
    if (applied.kind === 'rejected') return false;
    applied.persisted.catch(this.#options.hooks.onDefect);
    this.#options.hooks.onChange();
    return true;
  }
}
