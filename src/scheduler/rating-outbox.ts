import { z } from 'zod';
import {
  integerSchema,
  jobLink,
  LeaseId,
  type ObjectId,
  type PeerKey,
  peerKeySchema,
  UnixMs,
  unixMsSchema,
} from '../domain/ids.ts';
import { decodeObject } from '../domain/object-type.ts';
import { NOTHING_OBSERVED } from '../domain/observation.ts';
import { RECEIPT } from '../domain/receipt.ts';
import type { SignedWire } from '../domain/signed.ts';
import { computeObjectId } from '../lib/cid.ts';
import type { Clock } from '../lib/clock.ts';
import { readSignedPayload } from '../proofs/signed-object.ts';
import type { ObservationDraft, RatingSink } from '../reputation/interface.ts';
import { createCborCodec } from '../storage/codecs.ts';
import type { Codec, Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import { OBSERVATION_FLUSH_MS, OUTBOX_BATCH, RATING_WINDOW_MS } from './constants.ts';
import { SchedulerError } from './errors.ts';
import type { AttemptView, JobRatings, JobView, RatingService, RatingView } from './interface.ts';
import { JobStore } from './job-store.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { assertUnreadable, OutboxLoop } from './outbox-loop.ts';

export interface RatingOutboxModules {
  readonly database: Database;
  readonly sink: RatingSink;
  readonly identity: { readonly peer: PeerKey };
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RatingOutboxOptions {
  /** How long a rating may be replaced by another before it is signed, ms. */
  readonly flushMs: number;
  /** How long after its end an attempt may be rated, ms: long enough before its epoch is folded for a rating to reach everybody. */
  readonly windowMs: number;
}

export const RATING_OUTBOX_DEFAULTS: RatingOutboxOptions = {
  flushMs: OBSERVATION_FLUSH_MS,
  windowMs: RATING_WINDOW_MS,
};

const starsSchema = integerSchema(1, 5);
const waitingSchema = z.strictObject({
  job: jobLink,
  provider: peerKeySchema,
  stars: starsSchema,
  /** As the receipt says. */
  attemptAtMs: unixMsSchema,
});
export type WaitingRating = z.output<typeof waitingSchema>;
export const WAITING_RATING_CODEC: Codec<WaitingRating> = createCborCodec(waitingSchema);
export const SIGNED_RATING_CODEC: Codec<number> = createCborCodec(starsSchema);

interface Rated {
  readonly attempt: AttemptView;
  readonly before: number | null;
  readonly entry: WaitingRating;
}

/** There is one line for giving ratings and for signing them: else one could be replaced while it is signed. */
const LINE = 'ratings';

/**
 * Keeps what the user thinks of providers until it is signed, many at once, as observations of their own. Of a lease that is
 * rated twice before that the last rating counts; what is signed stays.
 */
export class RatingOutbox implements RatingService {
  readonly #modules: RatingOutboxModules;
  readonly #options: RatingOutboxOptions;
  readonly #waiting: Repository<WaitingRating>;
  readonly #signed: Repository<number>;
  readonly #jobs: JobStore;
  readonly #line = new KeyedMutex();
  readonly #loop: OutboxLoop;

  constructor(modules: RatingOutboxModules, options: RatingOutboxOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#waiting = modules.database.repository('rating-outbox', WAITING_RATING_CODEC);
    this.#signed = modules.database.repository('job-ratings', SIGNED_RATING_CODEC);
    this.#jobs = new JobStore(modules);
    this.#loop = new OutboxLoop(
      { ...modules, handOver: () => this.#line.run(LINE, () => this.#handOver()) },
      { delayMs: options.flushMs, failure: 'ratings could not be signed; they are kept and tried again' },
    );
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** Resolves when the ratings from before the call are signed, or could not be for now. */
  async flush(): Promise<void> {
    await this.#loop.settle();
  }

  async rate(
    view: JobView,
    { stars, replica }: { readonly stars: number; readonly replica: number | null },
  ): Promise<JobRatings> {
    const attempts = this.#selectAttempts(view, replica);
    return await this.#line.run(LINE, async () => {
      const rated = await this.#prepare(view, attempts, stars);
      const puts = rated.map(({ attempt, entry }) => this.#waiting.putOperation(attempt.lease, entry));
      await this.#modules.database.write(puts, { durable: true });
      this.#loop.wake();
      return { job: view.job, ratings: rated.map(describeRating), signedAtMs: UnixMs(this.#loop.dueAtMs) };
    });
  }

  #selectAttempts({ job, state, endedAtMs, result, attempts }: JobView, replica: number | null): AttemptView[] {
    if (endedAtMs === null || result === null) throw new SchedulerError({ code: 'SCHEDULER_NO_RESULT', job, state });
    const agreeing = attempts.filter(({ lease }) => result.agreeing.includes(lease));
    const meant = replica === null ? agreeing : agreeing.filter((attempt) => attempt.replica === replica);
    const others = meant.filter(({ provider }) => provider !== this.#modules.identity.peer);
    if (others.length > 0) return others;
    const reason =
      meant.length > 0 ? 'this node itself did the work' : `replica ${replica ?? 0} has no part in its accepted result`;
    throw new SchedulerError({ code: 'SCHEDULER_NOT_RATABLE', job, reason });
  }

  async #prepare({ job }: JobView, attempts: readonly AttemptView[], stars: number): Promise<readonly Rated[]> {
    const waiting = await this.#loadWaiting();
    const rated: Rated[] = [];
    for (const attempt of attempts) {
      const { lease, provider } = attempt;
      await this.#refuseSigned(job, attempt);
      const attemptAtMs = await this.#refuseLate(job, attempt);
      const before = waiting.get(lease)?.stars ?? null;
      if (before === null) await this.#refuseFull(job, { provider, attemptAtMs }, waiting);
      const entry = { job, provider, stars, attemptAtMs };
      waiting.set(lease, entry);
      rated.push({ attempt, before, entry });
    }
    return rated;
  }

  /** What is damaged is told of, and goes, when the rest is signed. */
  async #loadWaiting(): Promise<Map<LeaseId, WaitingRating>> {
    const waiting = new Map<LeaseId, WaitingRating>();
    for await (const [key, entry] of this.#waiting.entries({}, { onDamaged: () => undefined })) {
      waiting.set(LeaseId(key), entry);
    }
    return waiting;
  }

  async #refuseSigned(job: JobView['job'], { lease, replica }: AttemptView): Promise<void> {
    // After a crash between the two it is with others, and not among those that are known as signed.
    const stars = (await this.#signed.get(lease)) ?? (await this.#modules.sink.findRating(lease));
    if (stars !== null) throw new SchedulerError({ code: 'SCHEDULER_RATED_ALREADY', job, replica, stars });
  }

  async #refuseLate(job: JobView['job'], { lease, replica }: AttemptView): Promise<UnixMs> {
    const { finishedAtMs } = readReceipt(await this.#loadReceipt(job, lease));
    const untilMs = finishedAtMs + this.#options.windowMs;
    if (this.#modules.clock.nowMs() <= untilMs) return finishedAtMs;
    throw new SchedulerError({ code: 'SCHEDULER_RATING_LATE', job, replica, untilMs });
  }

  async #refuseFull(
    job: JobView['job'],
    { provider, attemptAtMs }: Pick<WaitingRating, 'provider' | 'attemptAtMs'>,
    waiting: ReadonlyMap<LeaseId, WaitingRating>,
  ): Promise<void> {
    const times = [...waiting.values()]
      .filter((entry) => entry.provider === provider)
      .map((entry) => entry.attemptAtMs);
    if (await this.#modules.sink.hasRatingRoom(provider, attemptAtMs, times)) return;
    throw new SchedulerError({ code: 'SCHEDULER_RATINGS_FULL', job, provider });
  }

  async #loadReceipt(job: JobView['job'], lease: LeaseId): Promise<SignedWire> {
    const receipt = await this.#jobs.loadObject(job, lease, 'receipt');
    if (receipt !== undefined) return receipt;
    const key = `job-objects/${job}/${lease}/receipt`;
    throw new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key, reason: 'it is missing' });
  }

  async #handOver(): Promise<boolean> {
    const { database, sink, logger } = this.#modules;
    const damaged: string[] = [];
    const entries: (readonly [LeaseId, WaitingRating])[] = [];
    const options = { onDamaged: (key: string) => void damaged.push(key) };
    for await (const [key, entry] of this.#waiting.entries({ limit: OUTBOX_BATCH }, options)) {
      entries.push([LeaseId(key), entry]);
    }
    if (damaged.length > 0) logger.warn({ leases: damaged }, 'ratings are damaged on disk and are not signed');
    const drafts = await Promise.all(entries.map(([lease, entry]) => this.#describe(lease, entry)));
    const wanted = drafts.filter((draft) => draft !== null);
    if (wanted.length > 0) await sink.record(wanted);
    const keys = [...damaged, ...entries.map(([lease]) => lease)];
    const operations: WriteOperation[] = keys.map((key) => this.#waiting.deleteOperation(key));
    for (const { lease } of wanted) {
      const stars = await sink.findRating(lease);
      if (stars === null)
        logger.warn({ lease }, 'a rating does not count any more: it came too late, or there is no room for it');
      else operations.push(this.#signed.putOperation(lease, stars));
    }
    if (operations.length > 0) await database.write(operations, { durable: true });
    return keys.length >= OUTBOX_BATCH;
  }

  async #describe(
    lease: LeaseId,
    { job, provider, stars, attemptAtMs }: WaitingRating,
  ): Promise<ObservationDraft | null> {
    try {
      const receipt = await this.#loadReceipt(job, lease);
      const id = computeObjectId(readSignedPayload(receipt)) as ObjectId;
      const seen = { subject: provider, role: 'provider' as const, job, lease, receipt: id };
      const said = { outcome: NOTHING_OBSERVED, rating: stars, observedAtMs: attemptAtMs };
      return { ...seen, ...said, evidence: [receipt] };
    } catch (error) {
      assertUnreadable(error);
      this.#modules.logger.warn({ error, lease }, 'the receipt of an attempt cannot be read; its rating is dropped');
      return null;
    }
  }
}

function readReceipt(wire: SignedWire): { readonly finishedAtMs: UnixMs } {
  return decodeObject(RECEIPT, readSignedPayload(wire));
}

function describeRating({ attempt, before, entry }: Rated): RatingView {
  const { lease, replica, provider } = attempt;
  return { lease, replica, provider, stars: entry.stars, replaced: before };
}
