import type { CapabilityClass, ExecutorKind } from '../../domain/capability.ts';
import { findGpuClass, findGpuModelKey } from '../../domain/gpu.ts';
import { createDeadline, raceSignal } from '../../lib/abort.ts';
import { isAbortError } from '../../lib/errors.ts';
import type { GpuUnit } from '../../sandbox/gpu/interface.ts';
import type { NoWorkExplanation, ProviderService, ProviderStatus } from '../interface.ts';
import { OfferRouter } from '../offer-router.ts';
import type { Attempt, StopReason } from './attempts/attempt.ts';
import type { Run } from './attempts/run.ts';
import { STOP_TIMEOUT_MS } from './constants.ts';
import { recoverLeases } from './leases/recovery.ts';
import { CLASS_OF_KIND } from './offers/admission.ts';
import { judgeConditions, summarise } from './offers/no-work.ts';
import type { JobProviderOptions } from './options.ts';
import { createProviderParts, type JobProviderModules, type ProviderParts } from './provider-parts.ts';
import { needsCommitment } from './results/concluder.ts';
import { type Conclusion, concludeFailure } from './results/conclusion.ts';
import { ReceiptPress } from './results/receipt-press.ts';

/** What requesters are told of attempts that a panic ended. */
const OPERATOR_STOPPED: StopReason = { code: 'OPERATOR_STOPPED', detail: 'its operator has stopped all work at once' };

/** The provider side of a node: answers `offer` and `job` requests and runs what it leased. */
export class JobProvider implements ProviderService, AsyncDisposable {
  readonly #modules: JobProviderModules;
  readonly #options: JobProviderOptions;
  readonly #parts: ProviderParts;
  readonly #presses = new WeakMap<Run, ReceiptPress>();
  /** Conclusions that are being written. */
  readonly #concluding = new Set<Promise<void>>();
  /** Open answers of the `job` protocol. */
  readonly #answers = new Set<symbol>();
  readonly #closing = new AbortController();
  #handlers: readonly Disposable[] = [];
  /** What is announced to it, and of which classes. */
  #hearing: Disposable | undefined;
  #heard: string | null = null;
  #state: 'idle' | 'started' | 'draining' | 'stopped' = 'idle';
  #onQuiet: (() => void)[] = [];

  constructor(modules: JobProviderModules, options: JobProviderOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#parts = createProviderParts(modules, options, {
      isDraining: () => this.#isClosed,
      execute: (attempt) => this.#execute(attempt),
      begin: (run) => this.#begin(run),
      stop: (attempt, reason) => this.#stopAttempt(attempt, reason),
    });
  }

  /** Settles what the process before left, then answers. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'idle') return;
    signal?.throwIfAborted();
    const nowMs = this.#parts.clock.nowMs();
    await Promise.all([this.#parts.poison.load(), this.#parts.work.load(nowMs), this.#parts.usage.load(nowMs)]);
    const restored = await recoverLeases(this.#parts, this.#options.networkId);
    const { offerDesk, jobDesk, attest, holder } = this.#parts;
    await holder.load();
    for (const attempt of restored) this.#takeUp(attempt);
    const { transport, offerRouter } = this.#modules;
    const router = offerRouter ?? new OfferRouter(transport);
    this.#state = 'started';
    this.#handlers = [
      router.answerAsks((peer, request) => offerDesk.answer(peer, request)),
      transport.handle('job', (request, context) => this.#noticing(jobDesk.answer(request, context))),
      ...(attest === null ? [] : [transport.handle('attest', (request, context) => attest.answer(request, context))]),
    ];
    this.#listen();
    // A driver may take its time, and is not waited for.
    void this.#modules.gpus?.refresh(0, { signal: this.#closing.signal }).then(() => this.#listen());
    signal?.addEventListener('abort', () => void this.stop(), { once: true });
    for (const attempt of restored) this.#begin(attempt.run);
  }

  /** Hears the announcements of what it can do now. */
  #listen(): void {
    const { announcements } = this.#modules;
    if (announcements === undefined || this.#state !== 'started') return;
    const classes = this.#listClasses();
    if (classes.join() === this.#heard) return;
    this.#heard = classes.join();
    const before = this.#hearing;
    this.#hearing = announcements.listen(classes, (announcement) => this.#parts.announcementDesk.hear(announcement));
    before?.[Symbol.dispose]();
  }

  /** Capability classes that it takes jobs of: those of its node record (node/host-claims.ts). */
  #listClasses(): readonly CapabilityClass[] {
    if (!this.#options.isEnabled) return [];
    const kinds = this.#listKinds();
    const classes: CapabilityClass[] = kinds.map((kind) => CLASS_OF_KIND[kind]);
    if (this.#modules.executors.some(({ lendsGpus, isolation }) => lendsGpus === true && isolation.length > 0)) {
      classes.push(...listGpuClasses(this.#parts.gpus.units));
    }
    if (kinds.length > 0 && this.#modules.confidential !== undefined) classes.push('tee');
    return [...new Set(classes)];
  }

  /** Kinds of work that can be done here. */
  #listKinds(): readonly ExecutorKind[] {
    return this.#modules.executors.filter(({ isolation }) => isolation.length > 0).map(({ kind }) => kind);
  }

  /**
   * Ends what runs as failed, so that its requesters can go elsewhere at once. What makes checkpoints is left as it is
   * for the process that comes after this one. Idempotent.
   */
  async stop(): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'idle') return;
    this.#state = 'stopped';
    this.#closing.abort();
    this.#hearing?.[Symbol.dispose]();
    this.#parts.announcementDesk[Symbol.dispose]();
    this.#parts.decisions[Symbol.dispose]();
    for (const attempt of this.#parts.table.live()) {
      if (this.#parts.journal.leases.has(attempt.id)) this.#suspend(attempt);
      else this.#stopAttempt(attempt, { code: 'INTERNAL', detail: 'the provider is stopping' });
    }
    this.#parts.notices[Symbol.dispose]();
    using deadline = createDeadline(STOP_TIMEOUT_MS);
    const isToldOfAll = (): boolean => this.#isQuiet() && this.#answers.size === 0;
    await this.#waitForQuiet(deadline.signal, isToldOfAll).catch(ignoreAbort);
    await this.#parts.concluder.catchUp();
    for (const handler of this.#handlers) handler[Symbol.dispose]();
    this.#parts.pulse[Symbol.dispose]();
    this.#parts.keeper[Symbol.dispose]();
    this.#parts.inputs[Symbol.dispose]();
    this.#parts.snapshots[Symbol.dispose]();
    this.#parts.holder[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async drain(options: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#state === 'started') this.#state = 'draining';
    await this.#waitForQuiet(options.signal, () => this.#isQuiet());
    // A replica that committed is worth nothing to its requester until it has been revealed.
    const { leaseDurationMs } = this.#options.parameters;
    const { clock, keeper } = this.#parts;
    using _patience = clock.schedule(leaseDurationMs, () => this.#notice());
    const isRevealed = (): boolean => keeper.countUnrevealed(clock.nowMs() - leaseDurationMs) === 0;
    await this.#waitForQuiet(options.signal, isRevealed);
  }

  async close(): Promise<void> {
    const { work, clock } = this.#parts;
    await work.close('drain', clock.nowMs());
  }

  async open(): Promise<void> {
    await this.#parts.work.open();
  }

  async panic({ signal }: { readonly signal: AbortSignal }): Promise<number> {
    const { work, clock, table } = this.#parts;
    // Nothing new from this very turn on, and what runs is ended before anything is waited for.
    const closing = work.close('panic', clock.nowMs());
    const stopped = [...table.live()].filter(({ phase }) => phase !== 'concluding');
    for (const attempt of stopped) this.#stopAttempt(attempt, OPERATOR_STOPPED);
    await closing;
    await this.#waitForQuiet(signal, () => this.#isQuiet()).catch(ignoreAbort);
    return stopped.length;
  }

  /** Takes no new work, for whatever reason. */
  get #isClosed(): boolean {
    return this.#state !== 'started' || this.#parts.work.closed !== null;
  }

  status(): ProviderStatus {
    const { dispatcher, planner, table, concluder, work } = this.#parts;
    return {
      isEnabled: this.#options.isEnabled,
      isDraining: this.#state === 'draining' || work.closed !== null,
      closed: work.closed,
      slots: dispatcher.use(),
      queue: { attempts: dispatcher.countWaiting(), expectedWaitMs: Math.ceil(planner.estimateWait()) },
      attempts: [...table.live()].map((attempt) => ({
        lease: attempt.id,
        job: attempt.jobId,
        requester: attempt.requester,
        phase: attempt.phase,
      })),
      ...concluder.tally,
    };
  }

  async explainNoWork(): Promise<NoWorkExplanation> {
    const { dispatcher, gauge, planner, refusals, offerDesk, intake, work, policy } = this.#parts;
    await gauge.refresh();
    const list = refusals.list();
    const tooLow = list.find((refusal) => refusal.code === 'PRICE_TOO_LOW');
    const activity = {
      refusals: list,
      offersMade: offerDesk.offersMade,
      leasesTaken: intake.leasesTaken,
      lastRequestAtMs: offerDesk.lastRequestAtMs,
    };
    const conditions = judgeConditions(this.#options, {
      executors: this.#modules.executors,
      reachability: this.#modules.reachability.status(),
      isDraining: this.#state === 'draining',
      closed: work.closed,
      standingRefusal: policy.judgeStanding(this.#listKinds()) ?? null,
      slots: dispatcher.use(),
      queue: { attempts: dispatcher.countWaiting(), expectedWaitMs: Math.ceil(planner.estimateWait()) },
      room: gauge.measure === null ? null : { ...gauge.room, held: dispatcher.computeHeld() },
      overload: gauge.describeOverload() ?? null,
      lastPriceRefusal: intake.leasesTaken === 0 ? (tooLow?.lastDetail ?? null) : null,
      evidence: this.#modules.confidential?.producer ?? null,
    });
    return { summary: summarise(conditions, activity), conditions, ...activity };
  }

  #begin(run: Run): void {
    for (const attempt of run.live) if (attempt.isConfidential) this.#parts.attest?.expect(attempt);
    this.#parts.dispatcher.begin(run);
    this.#parts.pulse.wake();
    if (run.options.isBatch || run.waiting === 0) return;
    const nowMs = this.#parts.clock.nowMs();
    for (const attempt of run.live) attempt.emit({ kind: 'phase', phase: 'queued' }, nowMs);
  }

  async #execute(attempt: Attempt): Promise<void> {
    const conclusion = await this.#parts.runner.run(attempt);
    if (conclusion === null) await this.#leave(attempt);
    else await this.#settle(attempt, conclusion);
  }

  /** Is there from the start on, so that whoever attaches finds it. */
  #takeUp(attempt: Attempt): void {
    const { dispatcher, table, inputs, metrics, checkpoints } = this.#parts;
    inputs.trust(attempt);
    table.add(attempt);
    dispatcher.add(attempt.run);
    metrics.takenUp.increment();
    void checkpoints.announceAgain(attempt);
  }

  /** One that still waits is left here; one that runs is left where it runs. */
  #suspend(attempt: Attempt): void {
    attempt.suspend();
    if (attempt.run.withdraw(attempt)) void this.#leave(attempt);
  }

  /** Says of a suspended attempt that it lives and did not crash; its followers come back to the next process. */
  async #leave(attempt: Attempt): Promise<void> {
    const { store, checkpoints, dispatcher, table, logger, attest } = this.#parts;
    attest?.end(attempt);
    try {
      await store.note(attempt.id, attempt.describeAccepted(), checkpoints.signOperations([attempt]));
    } catch (error) {
      logger.warn({ error, lease: attempt.id }, 'an attempt was left as if it had crashed');
    }
    attempt.phase = 'ended';
    attempt.releasePins();
    table.remove(attempt);
    dispatcher.end(attempt);
    for (const follower of attempt.followers) follower.leave(attempt);
    this.#notice();
  }

  /** An attempt that still waits ends here; one that runs ends where it runs. */
  #stopAttempt(attempt: Attempt, reason: StopReason): void {
    attempt.stop(reason);
    if (!attempt.run.withdraw(attempt)) return;
    attempt.phase = 'concluding';
    void this.#settle(attempt, concludeFailure(attempt.subject, reason));
  }

  /** Resolves when the lane may take its next attempt: the writing goes on behind it. */
  async #settle(attempt: Attempt, conclusion: Conclusion): Promise<void> {
    const concluded = { attempt, conclusion };
    const { concluder, attest } = this.#parts;
    attest?.end(attempt);
    if (attempt.run.options.isBatch && !needsCommitment(concluded)) {
      await this.#pressOf(attempt.run).add(concluded);
      return;
    }
    const written = concluder.conclude(concluded).finally(() => {
      this.#concluding.delete(written);
      this.#notice();
    });
    this.#concluding.add(written);
  }

  #pressOf(run: Run): ReceiptPress {
    const known = this.#presses.get(run);
    if (known !== undefined) return known;
    const { concluder, clock } = this.#parts;
    const press = new ReceiptPress({ concluder, clock, onPressed: () => this.#notice() }, { run });
    this.#presses.set(run, press);
    return press;
  }

  async *#noticing<T>(answers: AsyncIterable<T>): AsyncGenerator<T> {
    const token = Symbol('answer');
    this.#answers.add(token);
    try {
      yield* answers;
    } finally {
      this.#answers.delete(token);
      this.#notice();
    }
  }

  #isQuiet(): boolean {
    return this.#parts.table.size === 0 && this.#concluding.size === 0;
  }

  #notice(): void {
    for (const resolve of this.#onQuiet.splice(0)) resolve();
  }

  async #waitForQuiet(signal: AbortSignal, isQuiet: () => boolean): Promise<void> {
    while (!isQuiet()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onQuiet.push(resolve);
      await raceSignal(promise, signal);
    }
  }
}

/** Those of datacentres take jobs of both classes. */
function listGpuClasses(units: readonly GpuUnit[]): readonly CapabilityClass[] {
  const found = new Set(units.map(({ model }) => findGpuClass(findGpuModelKey(model))));
  return found.has('gpu-datacentre') ? ['gpu-consumer', 'gpu-datacentre'] : [...found];
}

function ignoreAbort(error: unknown): void {
  if (!isAbortError(error)) throw error;
}
