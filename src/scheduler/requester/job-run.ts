import { type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Offer } from '../../domain/offer.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { DaemonError, describeError } from '../../lib/errors.ts';
import { SchedulerError, type SchedulerErrorInfo } from '../errors.ts';
import type { JobView } from '../interface.ts';
import { type Decision, decide, isProviderExcluded } from '../job-decision.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { type EndedJob, isEnded, isStanding, type JobMachineState } from '../job-machine-state.ts';
import type { EndRecord } from '../job-records.ts';
import { chooseReplica } from '../job-resume.ts';
import type { JobRequesterOptions } from '../options.ts';
import type { AttemptCase } from './attempt-case.ts';
import type { ReturnExtras } from './attempt-course.ts';
import { createEndRecord } from './end-record.ts';
import { listFirstAsked } from './first-asked.ts';
import type { LedgerExtras } from './job-ledger.ts';
import { createJobRunParts, type JobRunModules, type JobRunOptions, type JobRunParts } from './job-run-parts.ts';
import { type SummarizeCheckpoints, viewJob } from './job-view.ts';
import { judge } from './judge.ts';
import { type AcceptedJudgement, describeConclusion } from './judgement.ts';
import { describeSearch, OfferSearch, type SearchReport } from './offer-search.ts';
import { listPausing } from './pause-asks.ts';
import type { ChainFault } from './result-chains.ts';
import { RunTimers } from './run-timers.ts';

interface Received {
  readonly attempt: AttemptCase;
  readonly receipt: Signed<Receipt>;
  readonly inlineBlobs: AttemptCase['inlineBlobs'];
}

/** One active job: carries out what `decide` says until it has ended. */
export class JobRun {
  readonly job: Signed<Job>;
  readonly #modules: JobRunModules;
  readonly #options: JobRequesterOptions;
  readonly #parts: JobRunParts;
  readonly #search: OfferSearch;
  readonly #controller = new AbortController();
  #accepted: AcceptedJudgement | null = null;
  readonly #timers: RunTimers;
  /** The long step under way, so that a decision that still stands does not start it twice. */
  #step: Decision['kind'] | undefined;
  #isFinished = false;
  /** Resolves once an end that came is on disk; at once where none has. */
  settled = Promise.resolve();
  /** Our own store failed: what it has not taken stays with the providers. */
  #isFaulty = false;

  constructor(modules: JobRunModules, options: JobRunOptions) {
    this.job = options.job;
    this.#modules = modules;
    this.#options = options.requester;
    this.#parts = createJobRunParts(modules, options, {
      onChange: () => this.#evaluate(),
      onDefect: (error) => this.#halt(error),
      onRefused: (provider, refusal) => this.#search.note(provider, { kind: 'refused', refusal }),
      onReceipt: (attempt, receipt, inlineBlobs, extras) => {
        this.#receive({ attempt, receipt, inlineBlobs }, extras).catch((error: unknown) => this.#halt(error));
      },
      describeEnd: (ended) => this.#describeEnd(ended),
      signal: this.#controller.signal,
    });
    this.#search = this.#createSearch();
    this.#timers = this.#createTimers();
  }

  #createTimers(): RunTimers {
    return new RunTimers(this.#modules, {
      deadlineMs: this.job.value.deadlineMs,
      graceMs: this.#options.replacementGraceMs,
      isJudging: () => this.#step === 'judge' || this.#step === 'reveal',
      isCollecting: () => this.#parts.desk.hasUnheard,
      onDeadline: () => this.#record({ kind: 'deadline-passed', atMs: this.#now() }),
      onGrace: () => this.#shrink(),
    });
  }

  get state(): JobMachineState {
    return this.#parts.ledger.state;
  }

  get search(): SearchReport {
    return describeSearch(this.#search);
  }

  get view(): JobView {
    return viewJob(this.job.value, this.#parts.ledger.shown, { result: null, summarize: this.#summarize });
  }

  start(): void {
    this.#timers.watchDeadline();
    this.#evaluate();
  }

  /** After a restart: follows the attempts that stand, then goes on as ever. */
  resume(lastSequences: ReadonlyMap<string, number>): void {
    for (const attempt of this.#parts.desk.cases.values()) {
      this.#parts.desk.resume(attempt, lastSequences.get(attempt.id) ?? 0).catch((error: unknown) => this.#halt(error));
    }
    const attempts = this.state.attempts.filter((attempt) => isStanding(attempt) || attempt.state === 'paused');
    this.#parts.keeper.recover(attempts.map((attempt) => ({ ...attempt, isPaused: attempt.state === 'paused' })));
    this.#evaluate();
    this.#timers.watchDeadline();
  }

  /** Durable when it resolves; asking for what is wanted already changes nothing. */
  async request(kind: 'pause-requested' | 'resume-requested' | 'cancel-requested'): Promise<void> {
    const applied = this.#apply({ kind, atMs: this.#now() });
    // Nothing is sought, or asked to go on, while the wish is written.
    this.#evaluate();
    await applied;
    await this.settled;
    this.#evaluate();
  }

  /** Stops without an event: the node goes down, the job does not. */
  stop(): void {
    this.#isFinished = true;
    this.#release();
    this.#parts.keeper.stop();
    this.#parts.desk.stop();
  }

  #createSearch(): OfferSearch {
    const { requester, replication } = this.job.value;
    return new OfferSearch(
      {
        ...this.#modules,
        onOffer: (offer) => this.#takeOffer(offer),
        isExcluded: (provider) => this.#isExcluded(provider),
        preferred: () => listFirstAsked(this.state, this.#modules.standings),
      },
      {
        network: this.#options.networkId,
        requester,
        subject: this.job.id,
        job: this.job.value,
        attempts: 1,
        maxFanOut: Math.max(this.#options.maxFanOut, replication.replicas),
        timeoutMs: this.#options.offerTimeoutMs,
      },
    );
  }

  #isExcluded(provider: PeerKey): boolean {
    const { desk } = this.#parts;
    if (desk.isIssuingTo(provider) || desk.isAwaiting(provider)) return true;
    return isProviderExcluded(this.state, provider, this.#now());
  }

  #evaluate(): void {
    if (this.#isFinished) return;
    this.#parts.desk.reap();
    const decision = decide(this.state);
    if (decision.kind !== 'seek') this.#rest();
    this.#parts.pauses.want(listPausing(this.state, decision));
    switch (decision.kind) {
      case 'seek':
        return this.#seek(decision);
      case 'abandon':
        return this.#record({
          kind: 'replica-abandoned',
          atMs: this.#now(),
          replica: decision.replica,
          reason: decision.reason,
        });
      case 'give-up':
        return this.#fail({ code: 'SCHEDULER_RETRIES_EXHAUSTED', replica: decision.replica, reason: decision.reason });
      case 'fix-set':
        return this.#fixSet(decision.leases);
      case 'sign-set':
        return this.#begin('sign-set', () => this.#parts.agreement.signSet());
      case 'reveal':
        return this.#begin('reveal', () => this.#revealAndJudge());
      case 'judge':
        return this.#begin('judge', () => this.#judge());
      case 'cancel':
        return this.#begin('cancel', () => this.#cancelAttempts());
      case 'ended':
      case 'wait':
      case 'pause':
        return;
      default:
        return decision satisfies never;
    }
  }

  #seek(decision: Extract<Decision, { kind: 'seek' }>): void {
    // Nobody may begin what has to be done already.
    if (this.#now() >= this.job.value.deadlineMs) return this.#rest();
    const open = this.#listTakeable(decision);
    this.#timers.watchGrace(decision.canShrink && open.length > 0);
    this.#search.want(open.length);
  }

  /** Replicas that an attempt can be begun for now. */
  #listTakeable({ replicas }: Extract<Decision, { kind: 'seek' }>): number[] {
    const { desk, keeper } = this.#parts;
    return replicas.filter((replica) => !desk.isIssuing(replica) && !keeper.isAwaited(replica));
  }

  /** Nothing is sought now. */
  #rest(): void {
    this.#search.want(0);
    this.#timers.watchGrace(false);
  }

  #takeOffer(offer: Signed<Offer>): void {
    const decision = decide(this.state);
    if (decision.kind !== 'seek') return;
    const replica = chooseReplica(this.state, this.#listTakeable(decision), offer.value.provider);
    if (replica === undefined) return;
    const other = this.state.attempts.find(isStanding)?.instrumenter ?? offer.value.instrumenter;
    if (other !== offer.value.instrumenter) {
      const reason = `it runs ${offer.value.instrumenter}, the other replicas run ${other}`;
      return this.#search.note(offer.value.provider, { kind: 'unreachable', reason });
    }
    this.#parts.desk.issue(replica, offer);
    this.#evaluate();
  }

  #fixSet(leases: readonly AttemptCase['id'][]): void {
    const set = this.#parts.agreement.describeSet(leases);
    if (set !== undefined) this.#record({ kind: 'set-fixed', atMs: this.#now(), leases: [...leases] }, { set });
  }

  /** One that counts as lost and comes too late for its replica is kept, and never counts. */
  async #receive({ attempt, receipt, inlineBlobs }: Received, { before, objects }: ReturnExtras): Promise<void> {
    const lease = attempt.id;
    const { outputRoot } = receipt.value;
    const known = { receipt: attempt.receipt, inlineBlobs: attempt.inlineBlobs };
    Object.assign(attempt, { receipt, inlineBlobs });
    const applied = this.#parts.ledger.applyAll(
      [...before, { kind: 'revealed', atMs: this.#now(), lease, outputRoot }],
      {
        objects: [...objects, { lease, kind: 'receipt', wire: receipt.wire }],
      },
    );
    if (applied.kind === 'applied') {
      this.#evaluate();
      return await applied.persisted;
    }
    Object.assign(attempt, known);
    if (before.length > 0) await this.#parts.ledger.keep([{ lease, kind: 'late', wire: receipt.wire }]);
  }

  async #revealAndJudge(): Promise<void> {
    await this.#parts.agreement.reveal();
    if (!this.#isFinished) await this.#judge();
  }

  async #judge(): Promise<void> {
    const { state } = this;
    const { cases } = this.#parts.desk;
    const { signal } = this.#controller;
    const revealed = state.attempts.flatMap((attempt) =>
      attempt.state === 'revealed' ? (cases.get(attempt.lease) ?? []) : [],
    );
    // Until the end is on disk: then their providers let go of theirs.
    const receipts = revealed.flatMap(({ receipt }) => receipt ?? []);
    this.#modules.pins.holdResults(this.#parts.ledger.job, receipts);
    const [faults, verdict] = await Promise.all([
      this.#parts.chains.findFaults(revealed, { signal }),
      judge(this.#modules, { job: this.job, state, cases }, { signal, timeoutMs: this.#options.outputTimeoutMs }),
    ]);
    if (this.#isFinished) return;
    if (faults.length > 0) return this.#discard(faults);
    switch (verdict.kind) {
      case 'accepted':
        this.#accepted = verdict;
        return this.#record({ ...describeConclusion(verdict), atMs: this.#now() });
      case 'attempt-failed':
        return this.#record({ ...verdict, atMs: this.#now(), isCounted: true });
      case 'failed':
        return this.#fail(verdict.info);
      default:
        return verdict satisfies never;
    }
  }

  /** Results whose chain does not bear them out. Of several results the others are judged without them. */
  async #discard(faults: readonly ChainFault[]): Promise<void> {
    for (const fault of faults) {
      this.#modules.metrics.peerFaults.increment({ code: fault.code });
      this.#record({ kind: 'attempt-failed', atMs: this.#now(), ...fault, isCounted: true });
    }
    if (this.state.kind === 'revealing') await this.#judge();
  }

  async #cancelAttempts(): Promise<void> {
    const standing = this.state.attempts.filter(isStanding);
    await Promise.all(
      standing.map(async ({ provider, lease }) => {
        const isConfirmed = await this.#modules.notices.cancel(provider, lease, 'the requester cancelled the job');
        const reason = isConfirmed ? 'the provider confirmed' : 'the provider did not confirm; its lease runs out';
        if (!this.#isFinished) this.#record({ kind: 'attempt-cancelled', atMs: this.#now(), lease, reason });
      }),
    );
    if (!this.#isFinished) this.#record({ kind: 'job-cancelled', atMs: this.#now() });
  }

  #begin(step: Decision['kind'], run: () => Promise<void>): void {
    // A cancel does not wait for a step that it makes pointless.
    if (this.#step === step || (this.#step !== undefined && step !== 'cancel')) return;
    this.#step = step;
    run()
      .catch((error: unknown) => {
        if (!this.#isFinished && !this.#controller.signal.aborted) this.#fault(error);
      })
      .finally(() => {
        if (this.#step === step) this.#step = undefined;
        this.#evaluate();
      });
  }

  /** A coded error of ours (such as a full disk) ends the job with its code; what it means is known. */
  #fault(error: unknown): void {
    if (!(error instanceof DaemonError)) return this.#halt(error);
    const code = String(error.code);
    this.#isFaulty = true;
    this.#record({ kind: 'job-failed', atMs: this.#now(), code, message: error.message.slice(0, 500) });
  }

  #fail(info: SchedulerErrorInfo): void {
    const message = new SchedulerError(info).message.slice(0, 500);
    this.#record({ kind: 'job-failed', atMs: this.#now(), code: info.code, message });
  }

  /** Commit, then reveal (design section 7): k shrinks by the replicas that nobody took in time. */
  #shrink(): void {
    const decision = decide(this.state);
    if (this.#isFinished || decision.kind !== 'seek' || !decision.canShrink) return;
    const replica = decision.replicas.find((candidate) => !this.#parts.desk.isIssuing(candidate));
    if (replica === undefined) return;
    const reason = 'no other provider took it before the rest had committed';
    this.#record({ kind: 'replica-abandoned', atMs: this.#now(), replica, reason });
  }

  #record(event: JobMachineEvent, extras: LedgerExtras = {}): void {
    this.#apply(event, extras).catch((error: unknown) => this.#halt(error));
    this.#evaluate();
  }

  async #apply(event: JobMachineEvent, extras: LedgerExtras = {}): Promise<void> {
    const applied = this.#parts.ledger.apply(event, extras);
    if (applied.kind === 'rejected') {
      this.#modules.logger.debug(
        { jobId: this.#parts.ledger.job, event: event.kind, code: applied.code },
        'event rejected',
      );
      return;
    }
    // Only the event that ends the job may say so once it is on disk: one before it is written earlier.
    const ended = isEnded(this.state) ? this.state : null;
    if (ended === null) return await applied.persisted;
    this.#release();
    this.settled = applied.persisted.then(() => this.#finish(ended));
    await this.settled;
  }

  /** Timers, searches and steps; the attempts are let go of once the end is on disk. */
  #release(): void {
    this.#timers.stop();
    this.#search.stop();
    this.#parts.pauses.want(new Map());
    this.#controller.abort();
  }

  #finish(state: EndedJob): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (this.#isFaulty) this.#parts.desk.leave();
    else this.#parts.desk.close();
    this.#parts.keeper.close();
    this.#modules.onEnded(this.#describeEnd(state).view);
  }

  #halt(error: unknown): void {
    if (this.#isFinished) return;
    const jobId = this.#parts.ledger.job;
    this.#modules.logger.error({ jobId, error, reason: describeError(error) }, 'a job cannot go on');
    this.stop();
    this.#modules.onHalted(error);
  }

  #describeEnd(state: EndedJob): EndRecord {
    const summarize = this.#summarize;
    return createEndRecord(this.job.value, state, { accepted: this.#accepted, search: this.search, summarize });
  }

  readonly #summarize: SummarizeCheckpoints = (lease) => this.#parts.book.summarize(lease);

  #now(): UnixMs {
    return UnixMs(this.#modules.clock.nowMs());
  }
}
