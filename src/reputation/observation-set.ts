import { LRUCache } from 'lru-cache';
import type { ObjectId } from '../domain/ids.ts';
import type { ObservationItem } from '../domain/observation.ts';
import type { ObservationRuleCode } from '../domain/observation-rules.ts';
import type { Clock } from '../lib/clock.ts';
import { isDaemonError } from '../lib/errors.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import { CredibleBound, loadBetaQuantile } from './credible-bound.ts';
import { computeEpochDigest, computeSnapshotHash } from './epoch-digest.ts';
import type { EpochDigest } from './interface.ts';
import { computeEpoch } from './judge-observation.ts';
import type { ReputationMetrics } from './metrics.ts';
import { type CountedObservation, type ObservationAddition, ObservationLedger } from './observation-ledger.ts';
import { type FoldedEpoch, ObservationStore } from './observation-store.ts';
import type { ReputationOptions } from './options.ts';
import { StandingBook } from './standing-book.ts';

export interface ObservationSetModules {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ReputationMetrics;
}

/** Ids that were refused for want of room: they are not asked for again and again. */
const MAX_REFUSED_REMEMBERED = 8_192;

/** Ledger, sums and store as one: what counts is in memory and on disk, what was folded is in the sums alone. */
export class ObservationSet {
  readonly ledger: ObservationLedger;
  readonly book: StandingBook;
  readonly store: ObservationStore;
  readonly #modules: ObservationSetModules;
  readonly #options: ReputationOptions;
  readonly #digests = new Map<number, EpochDigest>();
  readonly #refused = new LRUCache<ObjectId, true>({ max: MAX_REFUSED_REMEMBERED });
  #isBoundLoading = false;

  constructor(modules: ObservationSetModules, options: ReputationOptions) {
    this.#modules = modules;
    this.#options = options;
    const { epochMs, halfLifeMs, maxFolded } = options;
    this.book = new StandingBook({ halfLifeEpochs: Math.max(1, Math.round(halfLifeMs / epochMs)), maxFolded });
    const forget = ({ epoch }: CountedObservation): void => void this.#digests.delete(epoch);
    this.ledger = new ObservationLedger([this.book, { onAdded: forget, onRemoved: forget }], options);
    this.store = new ObservationStore(modules.database);
  }

  get epoch(): number {
    return computeEpoch(this.#modules.clock.nowMs(), this.#options.epochMs);
  }

  /** Newest epoch whose observations are folded by now. */
  get #foldableEpoch(): number {
    const { epochMs, foldAfterMs } = this.#options;
    return computeEpoch(this.#modules.clock.nowMs() - foldAfterMs, epochMs) - 1;
  }

  /** What is on disk. What cannot be read is passed over: others have it. */
  async load(): Promise<void> {
    const { logger } = this.#modules;
    const onDamaged = (key: string): void => logger.warn({ key }, 'an observation on disk is damaged and left out');
    for await (const standing of this.store.standings({ onDamaged })) this.book.restore(standing);
    const refused: CountedObservation[] = [];
    for await (const observation of this.store.observations({ onDamaged })) {
      const added = this.ledger.add(observation);
      if (added.kind === 'refused') refused.push(observation);
    }
    await this.store.delete(refused);
    await this.fold();
    this.#note();
  }

  /** Null: it counts from now on. A failed write is told and leaves it in memory: others have it. */
  async add(observation: CountedObservation, item: ObservationItem): Promise<ObservationRuleCode | null> {
    const taken = this.#enter(observation);
    if (taken.kind === 'refused') return taken.code;
    try {
      await this.store.put({ observation, item, displaced: taken.displaced });
    } catch (error) {
      if (!isDaemonError(error)) throw error;
      this.#modules.logger.warn({ error }, 'an observation could not be stored');
    }
    return null;
  }

  /** Own ones: on disk before they count. Gives those that do. */
  async addOwn(
    entries: readonly { readonly observation: CountedObservation; readonly item: ObservationItem }[],
  ): Promise<number> {
    const wanted = entries.filter(({ observation }) => this.ledger.findRefusal(observation) === null);
    await this.store.putOwn(wanted.map((entry) => ({ ...entry, displaced: [] })));
    let count = 0;
    for (const { observation } of wanted) {
      const taken = this.#enter(observation);
      if (taken.kind === 'added') count += 1;
      await this.store.delete(taken.kind === 'added' ? taken.displaced : [observation]);
    }
    return count;
  }

  #enter(observation: CountedObservation): ObservationAddition {
    if (observation.epoch <= this.#foldableEpoch) return { kind: 'refused', code: 'OBSERVATION_TOO_OLD' };
    const result = this.ledger.add(observation);
    if (result.kind === 'added') {
      for (const { id } of result.displaced) this.#refused.set(id, true);
      this.#note();
    } else if (result.code !== 'OBSERVATION_SEEN') {
      this.#refused.set(observation.id, true);
    }
    return result;
  }

  digests(): readonly EpochDigest[] {
    return [...this.ledger.epochs()].sort((a, b) => b - a).map((epoch) => this.#digestOf(epoch));
  }

  listIds(epoch: number, after: ObjectId | null): ObjectId[] {
    const ids = [...this.ledger.ofEpoch(epoch)].map(({ id }) => id);
    return ids.filter((id) => after === null || id > after).sort();
  }

  findMissing(epoch: number, ids: readonly ObjectId[]): ObjectId[] {
    if (epoch <= this.#foldableEpoch) return [];
    return ids.filter((id) => this.ledger.get(id) === undefined && !this.#refused.has(id));
  }

  /** Epochs that are over for long: their observations go, their sums stay. */
  async fold(): Promise<void> {
    const newest = this.#foldableEpoch;
    if (newest <= (this.ledger.foldedEpoch ?? -1)) return;
    const due = [...this.ledger.epochs()].filter((epoch) => epoch <= newest).sort((a, b) => a - b);
    const epochs: FoldedEpoch[] = due.map((epoch) => ({
      epoch,
      snapshot: {
        hash: computeSnapshotHash(this.#options.networkId, epoch, this.book.sumsOfEpoch(epoch)),
        observations: [...this.ledger.ofEpoch(epoch)].length,
      },
    }));
    const standings = new Map(
      due.flatMap((epoch) =>
        this.book.fold(epoch).map((folded) => [`${folded.role}/${folded.subject}`, folded] as const),
      ),
    );
    const observations = this.ledger.fold(newest);
    const dropped = this.book.dropWeakest(this.epoch);
    if (observations.length === 0 && dropped.length === 0) return;
    this.#modules.metrics.folded.increment({}, observations.length);
    await this.store.fold({ observations, standings: [...standings.values()], dropped, epochs });
    this.#note();
  }

  #digestOf(epoch: number): EpochDigest {
    let digest = this.#digests.get(epoch);
    if (digest === undefined) {
      const ids = [...this.ledger.ofEpoch(epoch)].map(({ id }) => id);
      digest = computeEpochDigest(epoch, ids);
      this.#digests.set(epoch, digest);
    }
    return digest;
  }

  #note(): void {
    this.#modules.metrics.observations.set(this.ledger.size);
    if (this.#isBoundLoading || this.book.isEmpty) return;
    this.#isBoundLoading = true;
    loadBetaQuantile()
      .then((quantile) => this.book.useBound(new CredibleBound(quantile)))
      .catch((error: unknown) => {
        this.#isBoundLoading = false;
        this.#modules.logger.error({ error }, 'bounds of reputation cannot be computed: everybody counts as new');
      });
  }
}
