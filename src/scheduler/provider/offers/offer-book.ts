import type { IsolationLevel } from '../../../domain/capability.ts';
import type { ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { Offer } from '../../../domain/offer.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Executor } from '../../../sandbox/interface.ts';

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

/** Live offers: as many as there are slots for, and taken ones until they would have expired. */
export class OfferBook {
  readonly #clock: Clock;
  readonly #live = new Set<Reservation>();
  readonly #signed = new Map<ObjectId, OfferEntry>();
  /** Taken offers until their expiry, so that a second lease is told apart from an unknown offer. */
  readonly #taken = new Map<ObjectId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Reservations that have not expired. */
  live(): readonly Reservation[] {
    this.#prune();
    return [...this.#live];
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
    return { kind: 'taken', entry };
  }

  #prune(): void {
    const nowMs = this.#clock.nowMs();
    for (const reservation of this.#live) {
      if (reservation.expiresAtMs <= nowMs) this.#live.delete(reservation);
    }
    for (const [offer, entry] of this.#signed) {
      if (entry.expiresAtMs <= nowMs) this.#signed.delete(offer);
    }
    for (const [offer, expiresAtMs] of this.#taken) {
      if (expiresAtMs > nowMs) break;
      this.#taken.delete(offer);
    }
  }
}
