import { JobId, LeaseId, ObjectId, type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { ObservedOutcome } from '../../domain/observation.ts';
import { computeObjectId } from '../../lib/cid.ts';
import { computeWeight, NO_BACKING } from '../../reputation/beta-model.ts';
import { CredibleBound, loadBetaQuantile } from '../../reputation/credible-bound.ts';
import type { ReputationScore } from '../../reputation/interface.ts';
import { ObservationLedger } from '../../reputation/observation-ledger.ts';
import { REPUTATION_DEFAULTS } from '../../reputation/options.ts';
import { PromisedPlaces } from '../../reputation/promised-places.ts';
import { StandingBook } from '../../reputation/standing-book.ts';
import type { SeededRandom } from '../random/seeded-random.ts';

export interface Seen {
  readonly observer: PeerKey;
  readonly subject: PeerKey;
  readonly outcome: ObservedOutcome;
  readonly nowMs: number;
}

const NOTHING: ObservedOutcome = { completion: 'none', correctness: 'none', timeliness: 'none', availability: 'none' };
/** What a requester sees of an attempt by the way it ends (src/scheduler/observe-attempt.ts). */
export const OUTCOMES = {
  served: { completion: 'success', correctness: 'none', timeliness: 'success', availability: 'success' },
  lost: { ...NOTHING, completion: 'failure', timeliness: 'failure', availability: 'failure' },
  failed: { ...NOTHING, completion: 'failure' },
} as const satisfies Record<string, ObservedOutcome>;

/**
 * What everybody knows of everybody: the daemon's ledger and standings, once for all nodes, as if gossip reached all at
 * once. Observations come with valid evidence: which do not is judged by rules that are not examined here.
 */
export class SharedReputation {
  readonly #random: SeededRandom;
  readonly #epochMs: number;
  readonly #book: StandingBook;
  readonly #ledger: ObservationLedger;
  /** What each observer still has room for. */
  readonly #places = new Map<PeerKey, PromisedPlaces>();
  #refused = 0;

  private constructor(random: SeededRandom, options: { readonly epochMs: number; readonly bound: CredibleBound }) {
    this.#random = random;
    this.#epochMs = options.epochMs;
    const { halfLifeMs, maxFolded } = REPUTATION_DEFAULTS;
    this.#book = new StandingBook({ halfLifeEpochs: Math.round(halfLifeMs / options.epochMs), maxFolded });
    this.#book.useBound(options.bound);
    this.#ledger = new ObservationLedger([this.#book], REPUTATION_DEFAULTS);
  }

  static async create(random: SeededRandom, options: { readonly epochMs: number }): Promise<SharedReputation> {
    return new SharedReputation(random, { ...options, bound: new CredibleBound(await loadBetaQuantile()) });
  }

  /** Observations that the ledger had no room for. */
  get refused(): number {
    return this.#refused;
  }

  scoreOf(subject: PeerKey, nowMs: number): ReputationScore {
    return this.#book.scoreOf(subject, 'provider', this.#epochOf(nowMs));
  }

  /** As an honest observer does: no more than would count. */
  observe(seen: Seen): void {
    const { observer, subject, outcome, nowMs } = seen;
    const places = this.#places.get(observer) ?? new PromisedPlaces({ max: REPUTATION_DEFAULTS.cappedPerPair });
    this.#places.set(observer, places);
    const epoch = this.#epochOf(nowMs);
    const kind = outcome.completion === 'failure' ? 'failure' : 'success';
    const counted = this.#ledger.countCapped({ observer, subject, role: 'provider', epoch }, 'attempt');
    if (places.take(subject, 'provider', { epoch, kind, counted })) this.publish(seen);
  }

  /** Whatever anybody signs. */
  publish({ observer, subject, outcome, nowMs }: Seen): void {
    const text = computeObjectId(this.#random.bytes(32));
    const added = this.#ledger.add({
      id: ObjectId(text),
      observer,
      subject,
      role: 'provider',
      job: JobId(text),
      lease: LeaseId(text),
      receipt: null,
      outcome,
      rating: null,
      observedAtMs: UnixMs(nowMs),
      epoch: this.#epochOf(nowMs),
      weight: computeWeight(NO_BACKING),
    });
    if (added.kind === 'refused') this.#refused += 1;
  }

  #epochOf(nowMs: number): number {
    return Math.floor(nowMs / this.#epochMs);
  }
}
