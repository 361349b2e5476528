import { type LeaseId, type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import { LEASE } from '../../domain/lease.ts';
import type { Offer } from '../../domain/offer.ts';
import { REFUSALS } from '../../domain/refusal.ts';
import type { Signed } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { PeerTransport } from '../../network/interface.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import { signObject } from '../../proofs/signed-object.ts';
import type { BlobGrants } from '../blob-access.ts';
import {
  type Attempt,
  countAttempts,
  findAttempt,
  isEnded,
  isRunning,
  isStanding,
  mayReturn,
} from '../job-machine-state.ts';
import { chooseResumePoint } from '../job-resume.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { JobRequesterOptions } from '../options.ts';
import { type AttemptCase, createAttemptCase } from './attempt-case.ts';
import { AttemptDriver } from './attempt-driver.ts';
import type { AttemptHooks } from './attempt-hooks.ts';
import type { CheckpointBook } from './checkpoint-book.ts';
import { CheckpointFollower } from './checkpoint-follower.ts';
import type { PromisedEvidence } from './confidential/attest-client.ts';
import type { AttemptLink, ConfidentialRun } from './confidential/confidential-run.ts';
import { PLAIN_EVENTS } from './confidential/printed-events.ts';
import { createLease, describeIssued } from './create-lease.ts';
import { type InlineBlobs, listJobBlobs, listOpenBlobs } from './inline-blobs.ts';
import type { JobLedger } from './job-ledger.ts';
import type { JobLog } from './job-log.ts';
import type { LeaseNotices } from './lease-notices.ts';
import type { ProviderStandings } from './provider-standings.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';

export interface AttemptDeskModules {
  readonly signer: EnvelopeSigner;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly grants: BlobGrants;
  readonly inlineBlobs: InlineBlobs;
  readonly notices: LeaseNotices;
  readonly standings: ProviderStandings;
  readonly metrics: RequesterMetrics;
  readonly ledger: JobLedger;
  readonly log: JobLog;
  readonly book: CheckpointBook;
  readonly keeper: SnapshotKeeper;
}

/** What the job hears of its attempts. */
export interface DeskHooks extends Pick<AttemptHooks, 'onChange' | 'onDefect'> {
  readonly onRefused: (provider: PeerKey, refusal: Parameters<AttemptHooks['onRefused']>[0]) => void;
  readonly onReceipt: (attempt: AttemptCase, ...result: Parameters<AttemptHooks['onReceipt']>) => void;
}

export interface AttemptDeskOptions extends Pick<JobRequesterOptions, 'networkId' | 'parameters'> {
  readonly job: Signed<Job>;
  /** Seals the job's snapshots; null where they are not sealed. */
  readonly snapshotKey: Uint8Array | null;
  /** Null where the job is not confidential. Disposed with the last attempt. */
  readonly confidential: ConfidentialRun | null;
  readonly hooks: DeskHooks;
}

interface LiveAttempt {
  readonly driver: AttemptDriver;
  /** What its provider may fetch. */
  readonly grant: DisposableStack;
  /** It counts as lost, and what follows from that is done. */
  isLost: boolean;
}

interface DriveFrom {
  readonly inlineBlobs: Parameters<InlineBlobs['markSent']>[0];
  readonly lastSequence: number;
  /** Of a confidential attempt that is yet to show evidence; null for others. */
  readonly promised: PromisedEvidence | null;
}

/** Issues the leases of one job, drives their attempts, and lets go of what each of them held. */
export class AttemptDesk {
  readonly cases = new Map<LeaseId, AttemptCase>();
  readonly #modules: AttemptDeskModules;
  readonly #options: AttemptDeskOptions;
  readonly #live = new Map<LeaseId, LiveAttempt>();
  readonly #issuing = new Map<number, PeerKey>();
  #isStopped = false;

  constructor(modules: AttemptDeskModules, options: AttemptDeskOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Replicas whose lease is being signed and journalled. */
  isIssuing(replica: number): boolean {
    return this.#issuing.has(replica);
  }

  isIssuingTo(provider: PeerKey): boolean {
    return [...this.#issuing.values()].includes(provider);
  }

  /** Signs the lease, journals it and only then sends it. */
  issue(replica: number, offer: Signed<Offer>): void {
    const { provider } = offer.value;
    this.#issuing.set(replica, provider);
    this.#issue(replica, offer)
      .catch(this.#options.hooks.onDefect)
      .finally(() => {
        this.#issuing.delete(replica);
        if (!this.#isStopped) this.#options.hooks.onChange();
      });
  }

  async #issue(replica: number, offer: Signed<Offer>): Promise<void> {
    const { ledger, inlineBlobs, metrics, signer, clock, random } = this.#modules;
    const { job } = this.#options;
    const { provider, instrumenter } = offer.value;
    const number = countAttempts(ledger.state, replica).total;
    const resume = chooseResumePoint(ledger.state, { replica, provider }, this.#modules.keeper.listPoints(provider));
    const value = createLease(
      { id: ledger.job, job: job.value, offer, replica, attempt: number, resume },
      { requester: signer.peer, random, nowMs: clock.nowMs() },
      this.#options,
    );
    const [lease, inline] = await Promise.all([
      signObject(LEASE, value, signer),
      inlineBlobs.pick([job.value], provider),
    ]);
    if (this.#isStopped) return;
    const attempt = createAttemptCase(lease);
    const applied = ledger.apply(describeIssued(attempt, instrumenter), {
      objects: [{ lease: attempt.id, kind: 'lease', wire: lease.wire }],
    });
    if (applied.kind === 'rejected') return;
    metrics.attemptsIssued.increment();
    if (resume !== undefined) metrics.attemptsResumed.increment();
    this.cases.set(attempt.id, attempt);
    await applied.persisted;
    // The job may have ended, been paused or been cancelled while the intent was written: then nothing is sent.
    const current = findAttempt(ledger.state, attempt.id);
    if (this.#isStopped || current === undefined || !isStanding(current)) return;
    if (ledger.state.desired === 'pause') return this.#takeBack(attempt);
    if (ledger.state.desired === 'cancel') return;
    const promised = readPromise(offer.value);
    this.#drive(attempt, { inlineBlobs: inline, lastSequence: 0, promised }).start();
  }

  /** A lease that was never sent: it ends as if it had not been. */
  #takeBack(attempt: AttemptCase): Promise<void> {
    return this.#withdraw(attempt, { code: 'PAUSED', reason: 'it was paused before it began' });
  }

  /** Nobody's fault. */
  async #withdraw({ id }: AttemptCase, end: { readonly code: string; readonly reason: string }): Promise<void> {
    const { ledger, clock } = this.#modules;
    const atMs = UnixMs(clock.nowMs());
    const applied = ledger.apply({ kind: 'attempt-failed', lease: id, atMs, ...end, isCounted: false });
    if (applied.kind === 'applied') await applied.persisted;
  }

  /** Takes up an attempt that ran when the node went down. */
  async resume(attempt: AttemptCase, lastSequence: number): Promise<void> {
    const current = findAttempt(this.#modules.ledger.state, attempt.id);
    if (current === undefined || !(isStanding(current) || mayReturn(current))) return;
    // The nonce that its evidence had to answer was in memory alone.
    if (this.#options.confidential !== null && current.released === undefined) return await this.#forsake(attempt);
    if (current.isAccepted) return this.#drive(attempt, { inlineBlobs: [], lastSequence, promised: null }).resume();
    // Nobody knows whether this lease arrived. A provider runs it once, however often it is sent.
    const inlineBlobs = await this.#modules.inlineBlobs.pick([this.#options.job.value], current.provider);
    if (!this.#isStopped) this.#drive(attempt, { inlineBlobs, lastSequence, promised: null }).start();
  }

  async #forsake(attempt: AttemptCase): Promise<void> {
    const reason = 'this node was started again before it had released anything';
    await this.#withdraw(attempt, { code: 'NOT_RELEASED', reason });
    void this.#modules.notices.cancel(attempt.lease.value.provider, attempt.id, reason);
    if (!this.#isStopped) this.#options.hooks.onChange();
  }

  #drive(attempt: AttemptCase, from: DriveFrom): AttemptDriver {
    const { hooks, job, snapshotKey, confidential } = this.#options;
    const { grants, standings, inlineBlobs } = this.#modules;
    const { provider, resume } = attempt.lease.value;
    const driver = new AttemptDriver(this.#modules, {
      job,
      attempt,
      ...from,
      snapshotKey,
      checkpoints: this.#createFollower(attempt),
      printed: confidential?.printed(attempt.id) ?? PLAIN_EVENTS,
      hooks: {
        onChange: hooks.onChange,
        onDefect: hooks.onDefect,
        onAccepted: () => {
          inlineBlobs.markSent(from.inlineBlobs, provider);
          this.#release(attempt, from.promised);
        },
        onRefused: (refusal) => hooks.onRefused(provider, refusal),
        onReceipt: (...result) => hooks.onReceipt(attempt, ...result),
      },
    });
    const snapshots = resume === undefined ? [] : [resume.snapshot.blob];
    const blobs = [...listOpenBlobs(job.value).map((named) => named.blob), ...snapshots];
    const grant = new DisposableStack();
    grant.use(grants.grant(provider, blobs));
    const current = findAttempt(this.#modules.ledger.state, attempt.id);
    const isLost = current !== undefined && mayReturn(current);
    this.#live.set(attempt.id, { driver, grant, isLost });
    if (!isLost) standings.begin(provider);
    if (current?.released !== undefined && isRunning(current)) this.#release(attempt, null);
    return driver;
  }

  /** Secrets and sealed inputs of a confidential job, on valid evidence. `promised`: null where it was shown already. */
  #release(attempt: AttemptCase, promised: PromisedEvidence | null): void {
    const { confidential, job, hooks } = this.#options;
    const live = this.#live.get(attempt.id);
    if (confidential === null || live === undefined) return;
    const { driver, grant } = live;
    const { provider } = attempt.lease.value;
    const link: AttemptLink = {
      attempt,
      signal: driver.signal,
      onReleasing: () => {
        const blobs = listJobBlobs(job.value).map((named) => named.blob);
        if (!grant.disposed) grant.use(this.#modules.grants.grant(provider, blobs));
      },
      onFault: (code, reason) => driver.blame(code, reason),
      onFailure: (code, reason) => driver.fail(code, reason, true),
    };
    const done = promised === null ? confidential.resume(link) : confidential.begin(link, promised);
    done.catch((error: unknown) => {
      if (!driver.signal.aborted) hooks.onDefect(error);
    });
  }

  #createFollower({ lease }: AttemptCase): CheckpointFollower | null {
    const { job } = this.#options;
    const { resume, requester } = lease.value;
    if (job.value.checkpoints === undefined) return null;
    // What a third party holds was not looked into here: its fuel is the word of who made it.
    const isOpened = resume?.holder === requester;
    const point = this.#modules.book.held.find(
      (held) => isOpened && held.lease === resume.lease && areBytesEqual(held.head, resume.head),
    );
    return new CheckpointFollower(this.#modules, { job, lease, resumedFuel: point?.fuel ?? null });
  }

  /** Lets go of attempts that are over, and tells their providers. */
  reap(): void {
    for (const [lease, live] of this.#live) {
      const attempt = findAttempt(this.#modules.ledger.state, lease);
      if (attempt !== undefined && isStanding(attempt)) {
        if (live.isLost) this.#modules.standings.begin(attempt.provider);
        live.isLost = false;
        continue;
      }
      if (attempt !== undefined && live.driver.isAwaited) {
        if (!live.isLost) this.#lose(attempt, live);
        continue;
      }
      this.#live.delete(lease);
      letGo(live);
      if (attempt === undefined) continue;
      if (!live.isLost) this.#conclude(attempt);
      else if (isEnded(this.#modules.ledger.state)) this.#dismiss(attempt);
    }
  }

  /** The job has ended without it: it need not go on, if it still does. */
  #dismiss({ provider, lease }: Attempt): void {
    void this.#modules.notices.cancel(provider, lease, 'the job has ended without it');
  }

  /** It may be back: who cannot be reached is not told to stop, who can be is, and then nothing more comes of it. */
  #lose(attempt: Attempt, live: LiveAttempt): void {
    live.isLost = true;
    this.#account(attempt);
    if (attempt.end?.code === 'PARTITIONED') return;
    const { provider, lease, end } = attempt;
    void this.#modules.notices.cancel(provider, lease, end?.reason ?? '').then((isConfirmed) => {
      if (isConfirmed && this.#live.get(lease) === live && !this.#isStopped) live.driver.settle();
    });
  }

  /** It may still have an attempt of this job: that is to be heard of before it is given another. */
  isAwaiting(provider: PeerKey): boolean {
    return [...this.#live].some(
      ([lease, { driver }]) =>
        driver.isAwaited && findAttempt(this.#modules.ledger.state, lease)?.provider === provider,
    );
  }

  /** Attempts that ran when this node went down, of which nobody knows yet what they gave. */
  get hasUnheard(): boolean {
    return [...this.#live.values()].some(({ driver }) => driver.isUnheard);
  }

  #conclude(attempt: Attempt): void {
    const { provider, lease, end, state } = attempt;
    this.#account(attempt);
    // It keeps its pages, which may still be fetched and gone on from.
    if (end === null || state === 'paused') return;
    const isTold = wasRefused(attempt) || end.code === 'CANCELLED';
    if (!isTold) void this.#modules.notices.cancel(provider, lease, end.reason);
  }

  #account(attempt: Attempt): void {
    const { provider, lease, end, state } = attempt;
    if (end === null) return;
    const { standings, metrics, inlineBlobs, keeper } = this.#modules;
    keeper.end(lease, state === 'paused' || state === 'lost' ? state : 'failed');
    if (state === 'paused') return standings.end(provider, 'neutral');
    const isBlameless = wasRefused(attempt) || state === 'cancelled' || end.code === 'SET_VOID';
    standings.end(provider, isBlameless ? 'neutral' : 'failed');
    metrics.attemptsFailed.increment({ code: end.code });
    inlineBlobs.forget(this.#options.job.value, provider);
  }

  /** The job has ended: whoever ran an attempt of it, to its end or not, may drop what it keeps of that. */
  close(): void {
    const leases = new Set(this.#end().map(({ lease }) => lease));
    for (const { provider, lease, isAccepted } of this.#modules.ledger.state.attempts) {
      if (isAccepted || leases.has(lease)) this.#modules.notices.close(provider, lease);
    }
  }

  /** The job has ended, and their results could not be stored here: they keep them as long as they have promised. */
  leave(): void {
    this.#end();
  }

  #end(): Attempt[] {
    this.reap();
    const ended = [...this.#live.keys()].flatMap((lease) => findAttempt(this.#modules.ledger.state, lease) ?? []);
    for (const { provider } of ended) this.#modules.standings.end(provider, 'served');
    for (const live of this.#live.values()) letGo(live);
    this.#live.clear();
    this.#options.confidential?.[Symbol.dispose]();
    return ended;
  }

  /** Stops following without telling anybody: the node goes down, the attempts go on. */
  stop(): void {
    this.#isStopped = true;
    for (const live of this.#live.values()) letGo(live);
    this.#live.clear();
    this.#options.confidential?.[Symbol.dispose]();
  }
}

function letGo({ driver, grant }: LiveAttempt): void {
  driver.stop();
  if (!grant.disposed) grant.dispose();
}

/** Null where the job is not confidential. */
function readPromise({ evidence, isolation, instrumenter }: Offer): PromisedEvidence | null {
  return evidence === undefined ? null : { kind: evidence, isolation, instrumenter };
}

function wasRefused({ isAccepted, end }: Attempt): boolean {
  return !isAccepted && end !== null && end.code in REFUSALS;
}
