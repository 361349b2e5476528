import type { ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { OfferGive, OfferResponse } from '../../../domain/messages.ts';
import { decodeObject } from '../../../domain/object-type.ts';
import { OFFER } from '../../../domain/offer.ts';
import type { SignedWire } from '../../../domain/signed.ts';
import { readSignedPayload } from '../../../proofs/signed-object.ts';
import type { RequesterMetrics } from '../../metrics.ts';
import { UNWANTED } from '../../offer-router.ts';

export type GivenAnswer = 'wanted' | 'unwanted' | 'invalid';
/** A search that may take an offer; the provider is the peer that gave it. */
export type OfferTaker = (provider: PeerKey, offer: SignedWire) => Promise<GivenAnswer>;

/** Offers that come unasked, as answers to announcements: each goes to the search of its subject, if that still looks. */
export class GivenOffers {
  readonly #metrics: Pick<RequesterMetrics, 'offersGiven'>;
  readonly #takers = new Map<ObjectId, OfferTaker>();

  constructor(modules: { readonly metrics: Pick<RequesterMetrics, 'offersGiven'> }) {
    this.#metrics = modules.metrics;
  }

  register(subject: ObjectId, taker: OfferTaker): Disposable {
    this.#takers.set(subject, taker);
    return {
      [Symbol.dispose]: () => {
        if (this.#takers.get(subject) === taker) this.#takers.delete(subject);
      },
    };
  }

  async answer(provider: PeerKey, request: OfferGive): Promise<OfferResponse> {
    const answer = await this.#judge(provider, request.offer);
    this.#metrics.offersGiven.increment({ answer });
    return answer === 'wanted' ? { kind: 'noted', isWanted: true } : UNWANTED;
  }

  async #judge(provider: PeerKey, offer: SignedWire): Promise<GivenAnswer | 'unknown'> {
    // Most that come late are for work that has its provider: those cost no signature.
    const subject = readSubject(offer);
    if (subject === null) return 'invalid';
    const taker = this.#takers.get(subject);
    return taker === undefined ? 'unknown' : await taker(provider, offer);
  }
}

/** What it says that it is for; nothing of it is verified. Null if it is no offer at all. */
function readSubject(wire: SignedWire): ObjectId | null {
  try {
    return decodeObject(OFFER, readSignedPayload(wire)).subject;
  } catch {
    return null;
  }
}
