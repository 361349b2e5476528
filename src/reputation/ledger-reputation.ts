import type { LeaseId, ObjectId, PeerKey, UnixMs } from '../domain/ids.ts';
import { MAX_OBSERVATION_DIGESTS, MAX_OBSERVATION_IDS } from '../domain/messages.ts';
import type { ObservationItem, SubjectRole } from '../domain/observation.ts';
import { refuseObservation } from '../domain/observation-rules.ts';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import { ACCEPT, type Verdict } from '../lib/verdict.ts';
import type { EnvelopeSigner } from '../proofs/interface.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { computeWeight, NO_BACKING } from './beta-model.ts';
import type {
  EpochDigest,
  ObservationDraft,
  ObservationPublisher,
  ObservationSink,
  ObservationSource,
  RatingSink,
  ReputationReader,
  ReputationReport,
  ReputationScore,
  ReputationSummary,
} from './interface.ts';
import { computeEpoch, judgeObservation } from './judge-observation.ts';
import { createReputationMetrics, type ReputationMetrics } from './metrics.ts';
import { ObservationSet } from './observation-set.ts';
import { openObservation } from './open-observation.ts';
import type { ReputationOptions } from './options.ts';
import { OwnObservations } from './own-observations.ts';
import { PromisedPlaces } from './promised-places.ts';
import { ReputationReports } from './reputation-reports.ts';
import { describeCounted } from './stored-forms.ts';
import { UncheckedShelf } from './unchecked-shelf.ts';

export interface LedgerReputationModules {
  readonly identity: EnvelopeSigner;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** What this node makes of what peers have signed about each other. */
export class LedgerReputation
  implements ObservationSink, RatingSink, ObservationSource, ReputationReader, AsyncDisposable
{
  readonly #modules: LedgerReputationModules;
  readonly #options: ReputationOptions;
  readonly #logger: Logger;
  readonly #metrics: ReputationMetrics;
  readonly #set: ObservationSet;
  readonly #own: OwnObservations;
  readonly #places: PromisedPlaces;
  readonly #shelf = new UncheckedShelf();
  readonly #reports: ReputationReports;
  #loading: Promise<void> | undefined;
  #folding: Promise<void> | undefined;
  #timer: Disposable | undefined;
  #isRunning = false;

  constructor(modules: LedgerReputationModules, options: ReputationOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#logger = modules.logger.child({ module: 'reputation' });
    this.#metrics = createReputationMetrics(modules.metrics);
    const shared = { ...modules, logger: this.#logger, metrics: this.#metrics };
    this.#set = new ObservationSet(shared, options);
    this.#own = new OwnObservations({ ...shared, set: this.#set }, options);
    this.#places = new PromisedPlaces({ max: options.cappedPerPair });
    this.#reports = new ReputationReports({ set: this.#set, shelf: this.#shelf });
  }

  /** Reads what is on disk while others start: until that is done nobody has a reputation, and nothing is taken in. */
  start(publisher: ObservationPublisher): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#load().then(() => {
      if (!this.#isRunning) return;
      this.#own.start(publisher);
      this.#foldLater();
    });
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#timer?.[Symbol.dispose]();
    await Promise.all([this.#loading, this.#folding, this.#own.stop()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get self(): PeerKey {
    return this.#modules.identity.peer;
  }

  scoreOf(subject: PeerKey, role: SubjectRole = 'provider'): ReputationScore {
    return this.#set.book.scoreOf(subject, role, this.#set.epoch);
  }

  hasRoom(subject: PeerKey, role: SubjectRole, kind: 'success' | 'failure'): boolean {
    const { peer } = this.#modules.identity;
    const { epoch } = this.#set;
    if (subject === peer) return false;
    const counted = this.#set.ledger.countCapped({ observer: peer, subject, role, epoch }, 'attempt');
    return this.#places.take(subject, role, { epoch, kind, counted });
  }

  async record(drafts: readonly ObservationDraft[]): Promise<void> {
    await this.#load();
    await this.#own.record(drafts);
  }

  async hasRatingRoom(provider: PeerKey, attemptAtMs: UnixMs, waiting: readonly UnixMs[]): Promise<boolean> {
    await this.#load();
    const { epochMs, cappedPerPair } = this.#options;
    const epoch = computeEpoch(attemptAtMs, epochMs);
    const pair = { observer: this.self, subject: provider, role: 'provider' as const, epoch };
    const planned = waiting.filter((atMs) => computeEpoch(atMs, epochMs) === epoch).length;
    return this.#set.ledger.countCapped(pair, 'rating') + planned < cappedPerPair;
  }

  async findRating(lease: LeaseId): Promise<number | null> {
    await this.#load();
    return this.#set.ledger.findOfLease(this.self, lease, 'rating')?.rating ?? null;
  }

  async take(item: ObservationItem, publisher: PeerKey | null): Promise<Verdict> {
    const verdict = await this.#judge(item, publisher);
    const code = verdict.kind === 'accept' ? '' : verdict.code;
    const source = publisher === null ? 'exchange' : 'gossip';
    this.#metrics.judged.increment({ source, verdict: verdict.kind, code });
    return verdict;
  }

  async #judge(item: ObservationItem, publisher: PeerKey | null): Promise<Verdict> {
    if (!this.#isRunning) return refuseObservation('OBSERVATION_UNSERVED');
    await this.#load();
    const opened = await openObservation(item);
    if (opened.kind === 'malformed') return refuseObservation('OBSERVATION_MALFORMED');
    const { id, value } = opened.observation;
    const { networkId, epochMs } = this.#options;
    const context = { networkId, epochMs, nowMs: this.#modules.clock.nowMs(), publisher };
    const refusal = judgeObservation(opened.observation, opened.evidence, context);
    // Nobody can check what was paid or staked until there is an escrow to ask: it counts as nothing.
    const counted = describeCounted(id, value, computeWeight(NO_BACKING));
    if (refusal?.code === 'OBSERVATION_UNCHECKED' && this.#set.ledger.findRefusal(counted) === null) {
      this.#shelf.add({ id, value });
    }
    if (refusal !== null) return refusal;
    this.#shelf.remove(id);
    const code = await this.#set.add(counted, item);
    return code === null ? ACCEPT : refuseObservation(code);
  }

  async digests(): Promise<readonly EpochDigest[]> {
    await this.#load();
    return this.#set.digests().slice(0, MAX_OBSERVATION_DIGESTS);
  }

  async listIds(epoch: number, after: ObjectId | null): Promise<readonly ObjectId[]> {
    await this.#load();
    return this.#set.listIds(epoch, after).slice(0, MAX_OBSERVATION_IDS);
  }

  async findMissing(epoch: number, ids: readonly ObjectId[]): Promise<readonly ObjectId[]> {
    await this.#load();
    return this.#set.findMissing(epoch, ids);
  }

  listUnchecked(): readonly { readonly id: ObjectId; readonly observer: PeerKey }[] {
    return this.#shelf.list().map(({ id, value }) => ({ id, observer: value.observer }));
  }

  async *load(ids: readonly ObjectId[]): AsyncIterable<ObservationItem> {
    await this.#load();
    for (const id of ids) {
      const item = this.#set.ledger.get(id) === undefined ? undefined : await this.#set.store.getItem(id);
      if (item !== undefined) yield item;
    }
  }

  async show(subject: PeerKey, role: SubjectRole): Promise<ReputationReport> {
    await this.#load();
    return this.#reports.show(subject, role);
  }

  async explain(subject: PeerKey, role: SubjectRole, limit: number) {
    await this.#load();
    return this.#reports.explain(subject, role, limit);
  }

  async list(role: SubjectRole, limit: number): Promise<readonly ReputationSummary[]> {
    await this.#load();
    return this.#reports.list(role, limit);
  }

  #load(): Promise<void> {
    this.#loading ??= this.#set.load().catch((error: unknown) => {
      this.#logger.error({ error }, 'observations cannot be read: what is on disk does not count until the next start');
    });
    return this.#loading;
  }

  #foldLater(): void {
    this.#timer = this.#modules.clock.schedule(this.#options.foldIntervalMs, () => {
      this.#folding = this.#set
        .fold()
        .catch((error: unknown) =>
          this.#logger.warn({ reason: describeError(error) }, 'observations could not be folded; tried again later'),
        )
        .finally(() => {
          if (this.#isRunning) this.#foldLater();
        });
    });
  }
}
