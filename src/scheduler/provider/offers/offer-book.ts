import { LRUCache } from 'lru-cache';
import type { IsolationLevel } from '../../../domain/capability.ts';
import type { ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { Offer } from '../../../domain/offer.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import { FREE_LAPSED_OFFERS, LAPSE_PAUSE_MS, MAX_RATED_PEERS } from '../constants.ts';

/** What an offer holds from the moment it is decided on until it is taken or expires. */
export interface Reservation {
  readonly requester: PeerKey;
  readonly attempts: number;
  /** Slots held; 0 for a batch that waits behind its requester's running one. */
  readonly slots: number;
  readonly executor: Executor;
  readonly isolation: IsolationLevel;
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
  readonly count: number;
  /** Until when it gets no further offer. */
  readonly untilMs: number;
}

/** Live offers: as many as there are slots for, and taken ones until they would have expired. */
export class OfferBook {
  readonly #clock: Clock;
  readonly #live = new Set<Reservation>();
  readonly #signed = new Map<ObjectId, OfferEntry>();
  /** Taken offers until their expiry, so that a second lease is told apart from an unknown offer. */
  readonly #taken = new Map<ObjectId, number>();
  readonly #lapses = new LRUCache<PeerKey, Lapses>({ max: MAX_RATED_PEERS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Reservations that have not expired. */
  live(): readonly Reservation[] {
    this.#prune();
    return [...this.#live];
  }

  /** How long a peer must wait, ms: one that leaves offer after offer untaken would hold every slot for nothing. */
  pauseOf(requester: PeerKey): number {
    this.#prune();
    return Math.max(0, (this.#lapses.get(requester)?.untilMs ?? 0) - this.#clock.nowMs());
  }

  reserve(reservation: Reservation): void {
    this.#live.add(reservation);
  }

  release(reservation: Reservation): void {
    this.#live.delete(reservation);
  }

  /** Makes a reservation takeable under its signed offer. */
  publish(reservation: Reservation, offer: Signed<Offer>): void {
    this.#live.delete(reservation);
    const entry: OfferEntry = { ...reservation, offer };
    this.#live.add(entry);
    this.#signed.set(offer.id, entry);
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
    this.#live.delete(entry);
    this.#taken.set(offer, entry.expiresAtMs);
    this.#lapses.delete(entry.requester);
    return { kind: 'taken', entry };
  }

  #prune(): void {
    const nowMs = this.#clock.nowMs();
    for (const reservation of this.#live) {
      if (reservation.expiresAtMs <= nowMs) this.#live.delete(reservation);
    }
    for (const [offer, entry] of this.#signed) {
      if (entry.expiresAtMs > nowMs) continue;
      this.#signed.delete(offer);
      this.#noteLapse(entry);
    }
    for (const [offer, expiresAtMs] of this.#taken) {
      if (expiresAtMs > nowMs) break;
      this.#taken.delete(offer);
    }
  }

  #noteLapse({ requester, expiresAtMs }: OfferEntry): void {
    const count = (this.#lapses.get(requester)?.count ?? 0) + 1;
    const excess = count - FREE_LAPSED_OFFERS;
    const { first, longest } = LAPSE_PAUSE_MS;
    const pauseMs = excess <= 0 ? 0 : Math.min(longest, first * 2 ** (excess - 1));
    this.#lapses.set(requester, { count, untilMs: expiresAtMs + pauseMs });
  }
}
