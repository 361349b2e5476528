import type { BlobStore } from '../../blob/interface.ts';
import { type ObjectId, type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import { LEASE, type Lease } from '../../domain/lease.ts';
import type { JobRequest } from '../../domain/messages.ts';
import type { Offer } from '../../domain/offer.ts';
import type { Signed } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { PeerTransport } from '../../network/interface.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import { packSigned, signObjects } from '../../proofs/signed-object.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { BlobGrants } from '../blob-access.ts';
import { ACCEPT_TIMEOUT_MS, BATCH_PATROL_MS, INLINE_BATCH_BYTES } from '../constants.ts';
import type { ReputationView } from '../interface.ts';
import type { JobStore } from '../job-store.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { JobRequesterOptions } from '../options.ts';
import { createAttemptCase } from './attempt-case.ts';
import type { BatchMember } from './batch-member.ts';
import { BatchReceiver, type BatchReceiverModules } from './batch-receiver.ts';
import { createLease, describeIssued } from './create-lease.ts';
import { type InlineBlobs, listJobBlobs } from './inline-blobs.ts';
import type { Prepared } from './job-ledger.ts';
import { OfferSearch, type OfferSearchModules } from './offer-search.ts';
import { OwnFault } from './own-fault.ts';
import type { ProviderStandings } from './provider-standings.ts';

export interface BatchWindowModules
  extends Omit<OfferSearchModules, 'onOffer' | 'isExcluded'>,
    Omit<BatchReceiverModules, 'onLeased' | 'onLeaving'> {
  readonly signer: EnvelopeSigner;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly blobs: BlobStore;
  readonly grants: BlobGrants;
  readonly inlineBlobs: InlineBlobs;
  readonly standings: ProviderStandings;
  readonly reputation?: ReputationView | undefined;
  readonly store: JobStore;
  readonly metrics: RequesterMetrics;
  readonly logger: Logger;
  /** The batch does not carry it any more: it goes on by itself, from where it is. */
  readonly onLeft: (member: BatchMember) => void;
}

export interface BatchWindowOptions {
  readonly requester: JobRequesterOptions;
  /** Id of the statement that signs the jobs of the window together. */
  readonly subject: ObjectId;
  readonly signal: AbortSignal;
}

/**
 * Jobs of one signature, offered, leased and received together. It carries the straight course only: a job that leaves
 * it, by a failure, a late lease or a cancel, goes on as any other job.
 */
export class BatchWindow {
  readonly #modules: BatchWindowModules;
  readonly #options: BatchWindowOptions;
  readonly #members = new Map<string, BatchMember>();
  readonly #receiver: BatchReceiver;
  readonly #search: OfferSearch;
  readonly #offered = Promise.withResolvers<Signed<Offer> | undefined>();
  readonly #leased = Promise.withResolvers<void>();
  readonly #controller = new AbortController();

  constructor(modules: BatchWindowModules, options: BatchWindowOptions & { readonly jobs: readonly Signed<Job>[] }) {
    this.#modules = modules;
    this.#options = options;
    this.#search = this.#createSearch(options.jobs);
    this.#receiver = new BatchReceiver(
      {
        ...modules,
        onLeased: () => this.#leased.resolve(),
        onLeaving: (member) => this.#leave(member),
        onEnded: (members) => {
          for (const member of members) this.#forget(member);
          modules.onEnded(members);
        },
      },
      { leaseDurationMs: options.requester.parameters.leaseDurationMs },
    );
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
  }

  get search(): OfferSearch {
    return this.#search;
  }

  /** Settles once the leases are accepted, or never will be. */
  get leased(): Promise<void> {
    return this.#leased.promise;
  }

  /** Carries the members to their end; those that cannot stay leave. Rejects only for faults of our own. */
  async run(members: readonly BatchMember[]): Promise<void> {
    for (const member of members) this.#members.set(member.id, member);
    using _patrol = this.#patrol();
    try {
      this.#search.want(1);
      const offer = await this.#offered.promise;
      this.#search.stop();
      if (offer !== undefined) await this.#lease(offer);
      if (!this.#options.signal.aborted) for (const member of this.#members.values()) this.#leave(member);
    } finally {
      this.#leased.resolve();
      this.#stop();
    }
  }

  /** True if it was carried here: it goes on by itself from now on. */
  release(member: BatchMember): boolean {
    if (!this.#members.has(member.id) || member.isConcluding) return false;
    this.#leave(member);
    return true;
  }

  /** Once: what has left is led by somebody else. */
  #leave(member: BatchMember): void {
    if (!this.#members.has(member.id)) return;
    this.#forget(member);
    this.#modules.onLeft(member);
  }

  #forget(member: BatchMember): void {
    this.#members.delete(member.id);
    this.#receiver.forget(member);
    if (this.#members.size === 0) this.#stop();
  }

  #stop(): void {
    this.#offered.resolve(undefined);
    this.#search.stop();
    this.#controller.abort();
  }

  #createSearch(jobs: readonly Signed<Job>[]): OfferSearch {
    const [first] = jobs;
    if (first === undefined) throw new RangeError('a batch window needs a job');
    const { requester } = this.#options;
    // Jobs of a window differ in deadline at most: the terms must cover the last.
    const deadlineMs = UnixMs(Math.max(...jobs.map((job) => job.value.deadlineMs)));
    return new OfferSearch(
      { ...this.#modules, onOffer: (offer) => this.#takeOffer(offer), isExcluded: () => false },
      {
        network: requester.networkId,
        requester: this.#modules.signer.peer,
        subject: this.#options.subject,
        job: { ...first.value, deadlineMs },
        attempts: jobs.length,
        maxFanOut: requester.maxFanOut,
        timeoutMs: requester.offerTimeoutMs,
      },
    );
  }

  #takeOffer(offer: Signed<Offer>): void {
    this.#search.want(0);
    this.#offered.resolve(offer);
  }

  /** Lets go of members whose lease or deadline has passed: alone, they are dealt with as any job. */
  #patrol(): Disposable {
    const { clock } = this.#modules;
    let timer: Disposable | undefined;
    const look = (): void => {
      const nowMs = clock.nowMs();
      for (const member of this.#members.values()) {
        if (!member.isConcluding && member.isOverdue(nowMs)) this.#leave(member);
      }
      timer = clock.schedule(BATCH_PATROL_MS, look);
    };
    timer = clock.schedule(BATCH_PATROL_MS, look);
    return { [Symbol.dispose]: () => timer?.[Symbol.dispose]() };
  }

  async #lease(offer: Signed<Offer>): Promise<void> {
    const { inlineBlobs, grants, standings } = this.#modules;
    const { provider } = offer.value;
    await this.#issue(offer);
    const members = [...this.#members.values()];
    const jobs = members.map((member) => member.job);
    const values = jobs.map((job) => job.value);
    const leases = members.flatMap(({ attempt }) => attempt?.lease ?? []);
    if (leases.length === 0) return;
    const inline = await inlineBlobs.pick(values, provider, INLINE_BATCH_BYTES);
    using _grant = grants.grant(provider, new Set(values.flatMap(listJobBlobs).map(({ blob }) => blob)));
    const request = { op: 'lease' as const, jobs: packSigned(jobs), leases: packSigned(leases), inlineBlobs: inline };
    standings.begin(provider);
    try {
      await this.#follow(provider, request, leases);
    } finally {
      if (this.#members.size === 0) inlineBlobs.markSent(inline, provider);
      standings.end(provider, this.#members.size === 0 ? 'served' : 'failed');
    }
  }

  async #follow(
    provider: PeerKey,
    request: Extract<JobRequest, { op: 'lease' }>,
    leases: readonly Signed<Lease>[],
  ): Promise<void> {
    const { transport, logger } = this.#modules;
    const { leaseDurationMs } = this.#options.requester.parameters;
    const options = { signal: this.#controller.signal, timeoutMs: Math.min(ACCEPT_TIMEOUT_MS, leaseDurationMs) };
    try {
      for await (const response of transport.stream(provider, 'job', request, options)) {
        await this.#receiver.handle(response, leases);
      }
    } catch (error) {
      if (error instanceof OwnFault) throw error.cause;
      logger.debug({ provider, reason: describeError(error) }, 'the stream of a batch broke; its jobs go on alone');
    }
    await this.#receiver.settle();
  }

  /** One signature and one durable write for all leases, before any of them is sent. */
  async #issue(offer: Signed<Offer>): Promise<void> {
    const { signer, random, clock, store, metrics } = this.#modules;
    const members = [...this.#members.values()];
    const context = { requester: signer.peer, random, nowMs: clock.nowMs() };
    const values = members.map(({ id, job }) =>
      createLease({ id, job: job.value, offer, replica: 0, attempt: 0 }, context, this.#options.requester),
    );
    const leases = await signObjects(LEASE, values, signer);
    const prepared: Prepared[] = [];
    for (const [index, member] of members.entries()) {
      const lease = leases[index];
      if (lease === undefined || !this.#members.has(member.id)) continue;
      const attempt = createAttemptCase(lease);
      const objects = [{ lease: attempt.id, kind: 'lease' as const, wire: lease.wire }];
      const entry = member.ledger.prepare([describeIssued(attempt, offer.value.instrumenter)], { objects });
      if (entry.kind === 'rejected') {
        this.#leave(member);
        continue;
      }
      this.#receiver.expect(member, attempt);
      prepared.push(entry);
    }
    metrics.attemptsIssued.increment({}, prepared.length);
    const writes = prepared.map(({ write }) => write);
    await store.append(writes, { durable: true });
    for (const { publish } of prepared) publish();
  }
}
