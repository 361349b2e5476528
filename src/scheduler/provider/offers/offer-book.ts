import { LRUCache } from 'lru-cache';
import type { IsolationLevel, TeeKind } from '../../../domain/capability.ts';
import type { ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { Priority } from '../../../domain/job.ts';
import type { Offer } from '../../../domain/offer.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { GpuUnit } from '../../../sandbox/gpu/interface.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import { FREE_LAPSED_OFFERS, LAPSE_PAUSE_MS, MAX_RATED_PEERS, QUEUED_LAPSE_WEIGHT } from '../constants.ts';
import type { Footprint } from '../queue/host-gauge.ts';

/** What an offer holds from the moment it is decided on until it is taken or expires. */
export interface Reservation {
  readonly requester: PeerKey;
  readonly attempts: number;
  /** Slots held: 1 if it is to start at once, 0 if it has a place in the queue. */
  readonly slots: 0 | 1;
  /** Within which time it is expected to start, ms; null is at once. */
  readonly startsWithinMs: number | null;
  readonly priority: Priority;
  /** Of one attempt. */
  readonly footprint: Footprint;
  /** Slot time that one attempt is expected to take, ms. */
  readonly expectedMs: number;
  readonly executor: Executor;
  readonly isolation: IsolationLevel;
  /** Of which environment evidence will be shown; null where none is asked for. */
  readonly evidence: TeeKind | null;
  /** Held for its attempt; empty: none. */
  readonly gpus: readonly GpuUnit[];
  readonly expiresAtMs: number;
}

export interface OfferEntry extends Reservation {
  readonly offer: Signed<Offer>;
}

export type TakenOffer =
  | { readonly kind: 'taken'; readonly entry: OfferEntry }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'duplicate' };

/** Offers of one peer that expired untaken, one after the other. */
interface Lapses {
  /** Those that held no slot count for less. */
  readonly count: number;
  /** Until when it gets no further offer. */
  readonly untilMs: number;
}

/** Live offers: those that hold a slot or a place in the queue, and taken ones until they would have expired. */
export class OfferBook {
  readonly #clock: Clock;
  /** All that live; an offer lives as long as any other, so the oldest are the first to expire. */
  readonly #live = new Set<Reservation>();
  readonly #holding = new Set<Reservation>();
  readonly #queued = new Set<Reservation>();
  readonly #byRequester = new Map<PeerKey, Set<Reservation>>();
  readonly #signed = new Map<ObjectId, OfferEntry>();
  /** Taken offers until their expiry, so that a second lease is told apart from an unknown offer. */
  readonly #taken = new Map<ObjectId, number>();
  readonly #lapses = new LRUCache<PeerKey, Lapses>({ max: MAX_RATED_PEERS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Those that hold slots: no more than there are slots. */
  holding(): Iterable<Reservation> {
    this.#prune();
    return this.#holding;
  }

  /** Those that hold a place in the queue. */
  queued(): Iterable<Reservation> {
    this.#prune();
    return this.#queued;
  }

  countOf(requester: PeerKey): number {
    this.#prune();
    return this.#byRequester.get(requester)?.size ?? 0;
  }

  /** Attempts that its open offers cover. */
  attemptsOf(requester: PeerKey): number {
    this.#prune();
    let attempts = 0;
    for (const reservation of this.#byRequester.get(requester) ?? []) attempts += reservation.attempts;
    return attempts;
  }

  /** How long a peer must wait, ms: one that leaves offer after offer untaken would hold every slot for nothing. */
  pauseOf(requester: PeerKey): number {
    this.#prune();
    return Math.max(0, (this.#lapses.get(requester)?.untilMs ?? 0) - this.#clock.nowMs());
  }

  reserve(reservation: Reservation): void {
    this.#live.add(reservation);
    if (reservation.slots > 0) this.#holding.add(reservation);
    else this.#queued.add(reservation);
    const own = this.#byRequester.get(reservation.requester) ?? new Set();
    this.#byRequester.set(reservation.requester, own.add(reservation));
  }

  release(reservation: Reservation): void {
    this.#live.delete(reservation);
    this.#holding.delete(reservation);
    this.#queued.delete(reservation);
    const own = this.#byRequester.get(reservation.requester);
    own?.delete(reservation);
    if (own?.size === 0) this.#byRequester.delete(reservation.requester);
  }

  /** Makes a reservation takeable under its signed offer. */
  publish(reservation: Reservation, offer: Signed<Offer>): void {
    this.release(reservation);
    const entry: OfferEntry = { ...reservation, offer };
    this.reserve(entry);
    this.#signed.set(offer.id, entry);
  }

  /** Lets go of an offer that is not wanted; that is no lapse. False if it was not live. */
  withdraw(offer: ObjectId): boolean {
    const entry = this.find(offer);
    if (entry === undefined) return false;
    this.#signed.delete(offer);
    this.release(entry);
    return true;
  }

  find(offer: ObjectId): OfferEntry | undefined {
    this.#prune();
    return this.#signed.get(offer);
  }

  /** Ends the reservation: whoever takes it holds the slots from now on. */
  take(offer: ObjectId): TakenOffer {
    this.#prune();
    const entry = this.#signed.get(offer);
    if (entry === undefined) return { kind: this.#taken.has(offer) ? 'duplicate' : 'unknown' };
    this.#signed.delete(offer);
    this.release(entry);
    this.#taken.set(offer, entry.expiresAtMs);
    this.#lapses.delete(entry.requester);
    return { kind: 'taken', entry };
  }

  #prune(): void {
    const nowMs = this.#clock.nowMs();
    for (const reservation of this.#live) {
      if (reservation.expiresAtMs > nowMs) break;
      this.release(reservation);
    }
    for (const [offer, entry] of this.#signed) {
      if (entry.expiresAtMs > nowMs) break;
      this.#signed.delete(offer);
      this.#noteLapse(entry);
    }
    for (const [offer, expiresAtMs] of this.#taken) {
      if (expiresAtMs > nowMs) break;
      this.#taken.delete(offer);
    }
  }

  #noteLapse({ requester, slots, expiresAtMs }: OfferEntry): void {
    const count = (this.#lapses.get(requester)?.count ?? 0) + (slots > 0 ? 1 : QUEUED_LAPSE_WEIGHT);
    const excess = Math.ceil(count - FREE_LAPSED_OFFERS);
    const { first, longest } = LAPSE_PAUSE_MS;
    const pauseMs = excess <= 0 ? 0 : Math.min(longest, first * 2 ** (excess - 1));
    this.#lapses.set(requester, { count, untilMs: expiresAtMs + pauseMs });
  }
}
