import { BlobError } from '../../blob/errors.ts';
import type { BlobStore } from '../../blob/interface.ts';
import { type BlobId, type LeaseId, UnixMs } from '../../domain/ids.ts';
import type { Lease, LeaseAcceptance } from '../../domain/lease.ts';
import type { InlineBlob, JobResponse, SequencedEvent } from '../../domain/messages.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed, SignedManyWire, SignedWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { BATCH_GROUPS_IN_FLIGHT } from '../constants.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { findAttempt } from '../job-machine-state.ts';
import type { AttemptObject } from '../job-records.ts';
import type { JobStore } from '../job-store.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { AttemptCase } from './attempt-case.ts';
import type { BatchMember } from './batch-member.ts';
import { checkWithChain, describeExpectation, indexVerified, isHeld } from './batch-result-checks.ts';
import type { Checked } from './checked.ts';
import { listResultFiles } from './collect-outputs.ts';
import type { Prepared } from './job-ledger.ts';
import type { JobLog } from './job-log.ts';
import type { JobPins } from './job-pins.ts';
import { computeRenewedEnd } from './judge-lateness.ts';
import type { LeaseNotices } from './lease-notices.ts';
import { OwnFault } from './own-fault.ts';
import { createStepBucket } from './step-bucket.ts';
import { verifyAcceptances, verifyProgress } from './verify-attempt.ts';
import { checkReceipt, openReceipts, verifyReceipt } from './verify-receipt.ts';

export interface BatchReceiverModules {
  readonly store: JobStore;
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly clock: Clock;
  readonly notices: LeaseNotices;
  readonly pins: JobPins;
  readonly metrics: RequesterMetrics;
  readonly createLog: (member: BatchMember) => JobLog;
  /** The leases are accepted. */
  readonly onLeased: () => void;
  /** The batch cannot carry it further. */
  readonly onLeaving: (member: BatchMember) => void;
  /** These have a verified result, on disk. */
  readonly onEnded: (members: readonly BatchMember[]) => void;
}

/** What a provider answers to the leases of a batch: verified one by one, written by the group. */
export class BatchReceiver {
  readonly #modules: BatchReceiverModules;
  readonly #leaseDurationMs: number;
  readonly #byLease = new Map<LeaseId, BatchMember>();
  #writing: Promise<void>[] = [];

  constructor(modules: BatchReceiverModules, options: { readonly leaseDurationMs: number }) {
    this.#modules = modules;
    this.#leaseDurationMs = options.leaseDurationMs;
  }

  expect(member: BatchMember, attempt: AttemptCase): void {
    member.attempt = attempt;
    this.#byLease.set(attempt.id, member);
  }

  forget(member: BatchMember): void {
    if (member.attempt !== null) this.#byLease.delete(member.attempt.id);
  }

  #track(written: Promise<void>): void {
    // It is awaited later; until then a rejection is not unhandled.
    written.catch(() => undefined);
    this.#writing.push(written);
  }

  /** Resolves when all that was received is written. */
  async settle(): Promise<void> {
    const writing = this.#writing;
    this.#writing = [];
    await Promise.all(writing);
  }

  /** @throws OwnFault for what is not the provider's doing */
  async handle(response: JobResponse, leases: readonly Signed<Lease>[]): Promise<void> {
    try {
      await this.#handle(response, leases);
    } catch (error) {
      throw new OwnFault(error);
    }
  }

  async #handle(response: JobResponse, leases: readonly Signed<Lease>[]): Promise<void> {
    switch (response.kind) {
      case 'leased':
        return this.#accept(response.acceptances, leases);
      case 'receipts':
        return this.#receive(response.receipts, response.inlineBlobs);
      case 'events':
        for (const event of response.events) await this.#handleEvent(event);
        return;
      case 'refused':
        return this.#failAll(response.refusal.code, response.refusal.detail, false);
      case 'done':
        return;
      case 'unknown-lease':
      case 'set-signed':
      case 'revealed':
        return this.#failAll('UNEXPECTED_ANSWER', `it answered '${response.kind}' to the leases of a batch`, true);
      default:
        return response satisfies never;
    }
  }

  async #accept(many: SignedManyWire, leases: readonly Signed<Lease>[]): Promise<void> {
    const checked = await verifyAcceptances(many, leases);
    if (checked.kind === 'invalid') return this.#failAll(checked.code, checked.reason, true);
    const prepared = checked.value.flatMap((acceptance) => this.#prepareAccepted(acceptance));
    this.#track(this.#write(prepared, { durable: false }));
    this.#modules.onLeased();
  }

  /** With what it promises: a restart attaches to it, and waits for as long as its results are kept. */
  #prepareAccepted({ value, wire }: Signed<LeaseAcceptance>): readonly Prepared[] {
    const { lease, resultsKeptForMs } = value;
    const member = this.#find(lease);
    if (member === undefined || member.attempt === null) return [];
    const atMs = this.#now();
    const leaseEndsAtMs = UnixMs(Math.min(atMs + this.#leaseDurationMs, member.job.value.deadlineMs));
    const promise = resultsKeptForMs === undefined ? {} : { resultsKeptForMs };
    const event = { kind: 'accepted', atMs, lease, leaseEndsAtMs, ...promise } as const;
    const prepared = member.ledger.prepare([event], { objects: [{ lease, kind: 'acceptance', wire }] });
    if (prepared.kind === 'rejected') return [];
    member.attempt.acceptance = value;
    return [prepared];
  }

  async #write(prepared: readonly Prepared[], options: { readonly durable: boolean }): Promise<void> {
    const writes = prepared.map(({ write }) => write);
    await this.#modules.store.append(writes, options);
    for (const { publish } of prepared) publish();
  }

  async #receive(many: SignedManyWire, inlineBlobs: readonly InlineBlob[]): Promise<void> {
    const [first] = this.#byLease.values();
    if (first?.attempt === undefined || first.attempt === null) return;
    const opened = await openReceipts(many, first.attempt.lease);
    if (opened.kind === 'invalid') return this.#failAll(opened.code, opened.reason, true);
    // Before any of them is claimed: nobody asks again, after a restart, for what came before the end of an attempt.
    await Promise.all(opened.value.map(async ({ value }) => await this.#byLease.get(value.lease)?.log?.flush()));
    const results: Result[] = [];
    const files = indexVerified(inlineBlobs);
    for (const receipt of opened.value) {
      const member = this.#find(receipt.value.lease);
      const expectation = member && describeExpectation(member);
      // A receipt that comes twice, or for a lease of nobody here, changes nothing.
      if (member === undefined || expectation === undefined) continue;
      const checked = await checkWithChain(checkReceipt(receipt, expectation), expectation, files);
      if (this.#claim(member, checked)) results.push({ member, receipt });
    }
    await this.#conclude(results, files, inlineBlobs);
  }

  /** Whose lease this is. What comes after its end, or after the deadline, is judged by the job alone. */
  #find(lease: LeaseId): BatchMember | undefined {
    const member = this.#byLease.get(lease);
    if (member === undefined || !member.isOverdue(this.#now())) return member;
    this.#modules.onLeaving(member);
    return undefined;
  }

  /** True once for each member: it ends with this result, whatever else comes. Without a result in it, it has left. */
  #claim(member: BatchMember, checked: Checked<Signed<Receipt>>): boolean {
    if (!this.#isCarried(member)) return false;
    if (checked.kind === 'invalid') {
      this.#fail(member, checked.code, checked.reason, true);
      return false;
    }
    const { outcome } = checked.value.value.result;
    if (outcome.kind === 'attempt-failed') {
      this.#fail(member, outcome.code, outcome.detail, true);
      return false;
    }
    member.isConcluding = true;
    this.forget(member);
    return true;
  }

  /** Its lease is still awaited here: during whatever was waited for it may have ended, or left. */
  #isCarried({ attempt }: BatchMember): boolean {
    return attempt !== null && this.#byLease.has(attempt.id);
  }

  /** Files first, then results: a result on disk has its files there. A few groups are written at a time. */
  async #conclude(
    results: readonly Result[],
    files: ReadonlyMap<BlobId, Uint8Array>,
    inlineBlobs: readonly InlineBlob[],
  ): Promise<void> {
    if (results.length === 0) return;
    // Files of private jobs are encrypted on disk, which each job by itself takes care of.
    const whole = results.filter(
      ({ member, receipt }) =>
        member.job.value.private !== true && listResultFiles(receipt.value).every((file) => isHeld(file, files)),
    );
    for (const result of results) {
      if (!whole.includes(result)) this.#leaveWithResult(result, inlineBlobs);
    }
    const wanted = new Set(whole.flatMap(({ receipt }) => listResultFiles(receipt.value).map(({ blob }) => blob)));
    const written = this.#writeGroup(whole, {
      files: [...wanted].flatMap((blob) => files.get(blob) ?? []),
      inlineBlobs,
    });
    this.#track(written);
    if (this.#writing.length >= BATCH_GROUPS_IN_FLIGHT) await this.#writing.shift();
  }

  async #writeGroup(
    results: readonly Result[],
    came: { readonly files: readonly Uint8Array[]; readonly inlineBlobs: readonly InlineBlob[] },
  ): Promise<void> {
    const { notices } = this.#modules;
    if (!(await this.#store(results, came.files))) {
      for (const result of results) this.#leaveWithResult(result, came.inlineBlobs);
      return;
    }
    const ended: { readonly member: BatchMember; readonly prepared: Prepared }[] = [];
    for (const result of results) {
      const prepared = this.#prepare(result);
      if (prepared !== undefined) ended.push({ member: result.member, prepared });
    }
    await this.#write(
      ended.map(({ prepared }) => prepared),
      { durable: true },
    );
    for (const { member } of ended) {
      if (member.attempt !== null) notices.close(member.attempt.lease.value.provider, member.attempt.id);
    }
    this.#modules.onEnded(ended.map(({ member }) => member));
  }

  /** Held until their jobs end. False if there is no room for all: each job by itself says what becomes of it. */
  async #store(results: readonly Result[], files: readonly Uint8Array[]): Promise<boolean> {
    const { blobs, pins } = this.#modules;
    for (const { member, receipt } of results) pins.holdResults(member.id, [receipt]);
    try {
      await Promise.all(files.map((bytes) => blobs.put(bytes)));
      return true;
    } catch (error) {
      if (error instanceof BlobError && error.code === 'BLOB_NO_ROOM') return false;
      throw error;
    }
  }

  #prepare({ member, receipt }: Result): Prepared | undefined {
    const { lease, outputRoot, result } = receipt.value;
    const atMs = this.#now();
    const { outcome } = result;
    const programFailure = outcome.kind === 'program-failed' ? { code: outcome.code, detail: outcome.detail } : null;
    member.accept(receipt.value);
    const prepared = member.ledger.prepare(
      [
        { kind: 'revealed', atMs, lease, outputRoot },
        { kind: 'concluded', atMs, outputRoot, programFailure },
      ],
      {
        objects: [{ lease, kind: 'receipt', wire: receipt.wire }],
      },
    );
    if (prepared.kind === 'prepared') return prepared;
    this.#modules.onLeaving(member);
    return undefined;
  }

  /** Its files are still to be fetched, which it does alone. */
  #leaveWithResult({ member, receipt }: Result, inlineBlobs: readonly InlineBlob[]): void {
    if (member.attempt === null) return;
    member.attempt.receipt = receipt;
    member.attempt.inlineBlobs = inlineBlobs;
    const { lease, outputRoot } = receipt.value;
    this.#apply(member, { kind: 'revealed', atMs: this.#now(), lease, outputRoot }, [
      { lease, kind: 'receipt', wire: receipt.wire },
    ]);
    this.#modules.onLeaving(member);
  }

  async #handleEvent({ lease, sequence, atMs, event }: SequencedEvent): Promise<void> {
    const member = this.#find(lease);
    if (member?.attempt === undefined || member.attempt === null || sequence <= member.lastSequence) return;
    member.lastSequence = sequence;
    switch (event.kind) {
      case 'log':
      case 'metric':
        member.log ??= this.#modules.createLog(member);
        member.log.append(lease, sequence, { atMs, replica: 0, event });
        this.#track(member.log.flush());
        return;
      case 'progress':
        return this.#renew(member, member.attempt, event.progress);
      case 'receipt':
        return this.#receiveOne(member, event.receipt, event.inlineBlobs);
      case 'committed':
        return this.#fail(member, 'UNEXPECTED_ANSWER', 'it committed to what is not committed to', true);
      case 'sealed':
        return this.#fail(member, 'UNEXPECTED_ANSWER', 'it sealed events of a job that is not confidential', true);
      case 'phase':
      case 'checkpoint':
      case 'held':
        return;
      default:
        return event satisfies never;
    }
  }

  async #receiveOne(member: BatchMember, wire: SignedWire, inlineBlobs: readonly InlineBlob[]): Promise<void> {
    const expectation = describeExpectation(member);
    if (expectation === undefined) return;
    const files = indexVerified(inlineBlobs);
    const checked = await checkWithChain(await verifyReceipt(wire, expectation), expectation, files);
    await member.log?.flush();
    if (!this.#claim(member, checked) || checked.kind === 'invalid') return;
    await this.#conclude([{ member, receipt: checked.value }], files, inlineBlobs);
  }

  async #renew(member: BatchMember, attempt: AttemptCase, wire: SignedWire): Promise<void> {
    const { clock } = this.#modules;
    member.steps ??= createStepBucket(attempt.lease.value, clock);
    if (!member.steps.take(clock.monotonicMs())) {
      return this.#fail(member, 'EVENT_FLOOD', 'it sends progress faster than anybody needs', true);
    }
    const last = findAttempt(member.ledger.state, attempt.id)?.progress?.sequence ?? 0;
    const checked = await verifyProgress(wire, attempt.lease, last);
    if (!this.#isCarried(member)) return;
    if (checked.kind === 'invalid') return this.#fail(member, checked.code, checked.reason, true);
    attempt.progress = { value: checked.value, wire };
    const { sequence, fuel, step, cpuTimeMs, atMs: signedAtMs } = checked.value;
    const atMs = this.#now();
    const leaseEndsAtMs = UnixMs(computeRenewedEnd(attempt.lease.value, signedAtMs, atMs));
    const renewed = { lease: attempt.id, sequence, fuel, step, cpuTimeMs, leaseEndsAtMs };
    const event = { kind: 'progress', atMs, ...renewed } as const;
    this.#apply(member, event, [{ lease: attempt.id, kind: 'progress', wire }]);
  }

  #failAll(code: string, reason: string, isCounted: boolean): void {
    for (const member of this.#byLease.values()) this.#fail(member, code, reason, isCounted);
  }

  #fail(member: BatchMember, code: string, reason: string, isCounted: boolean): void {
    if (member.attempt === null) return;
    this.#modules.metrics.attemptsFailed.increment({ code });
    const event = { kind: 'attempt-failed', atMs: this.#now(), lease: member.attempt.id, code, isCounted } as const;
    this.#apply(member, { ...event, reason: reason.slice(0, 300) }, []);
    this.#modules.onLeaving(member);
  }

  #apply(member: BatchMember, event: JobMachineEvent, objects: readonly AttemptObject[]): void {
    const applied = member.ledger.apply(event, { objects });
    if (applied.kind === 'applied') this.#track(applied.persisted);
  }

  #now(): UnixMs {
    return UnixMs(this.#modules.clock.nowMs());
  }
}

interface Result {
  readonly member: BatchMember;
  readonly receipt: Signed<Receipt>;
}
