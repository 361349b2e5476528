import { LRUCache } from 'lru-cache';
import { type PeerKey, UnixMs } from '../../../domain/ids.ts';
import type { OfferAsk, OfferResponse } from '../../../domain/messages.ts';
import { OFFER, type Offer } from '../../../domain/offer.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import type { Clock } from '../../../lib/clock.ts';
import { isAbortError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import { TokenBucket } from '../../../lib/token-bucket.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObject } from '../../../proofs/signed-object.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { Dispatcher } from '../attempts/dispatcher.ts';
import { MAX_LIVE_OFFERS_PER_PEER, MAX_RATED_PEERS, OFFER_BURST, OFFERS_PER_SECOND } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { JobProviderOptions } from '../options.ts';
import type { Admission, Admitted } from './admission.ts';
import type { OfferBook, Reservation } from './offer-book.ts';
import { createRefusal, type RefusalTally } from './refusals.ts';

export interface OfferDeskModules {
  readonly identity: EnvelopeSigner;
  readonly admission: Admission;
  readonly offers: OfferBook;
  readonly dispatcher: Dispatcher;
  readonly refusals: RefusalTally;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ProviderMetrics;
  readonly isDraining: () => boolean;
}

/** Answers offer requests from their terms alone; an offer holds its slots from before it is signed. */
export class OfferDesk {
  readonly #modules: OfferDeskModules;
  readonly #options: JobProviderOptions;
  readonly #rates = new LRUCache<PeerKey, TokenBucket>({ max: MAX_RATED_PEERS });
  #offersMade = 0;
  #lastRequestAtMs: UnixMs | null = null;

  constructor(modules: OfferDeskModules, options: JobProviderOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  get offersMade(): number {
    return this.#offersMade;
  }

  get lastRequestAtMs(): UnixMs | null {
    return this.#lastRequestAtMs;
  }

  async answer(requester: PeerKey, request: OfferAsk): Promise<OfferResponse> {
    this.#lastRequestAtMs = UnixMs(this.#modules.clock.nowMs());
    const early = this.#judgeNode(requester);
    if (early !== undefined) return this.#refuse(early);
    const answer = this.#modules.admission.judge(requester, request);
    if (answer.kind === 'refused') return this.#refuse(answer.refusal);
    const slots = this.#modules.dispatcher.plan(requester, request.attempts);
    if (slots === undefined) return this.#refuse(this.#describeFull());
    return await this.#offer(requester, request, { ...answer.admitted, slots });
  }

  #judgeNode(requester: PeerKey): Refusal | undefined {
    if (this.#modules.isDraining()) return createRefusal('DRAINING', 'it finishes what it has and then stops');
    const nowMs = this.#modules.clock.monotonicMs();
    const rate =
      this.#rates.get(requester) ?? new TokenBucket({ perSecond: OFFERS_PER_SECOND, burst: OFFER_BURST }, nowMs);
    this.#rates.set(requester, rate);
    if (!rate.take(nowMs)) return createRefusal('RATE_LIMITED', `more than ${OFFERS_PER_SECOND} requests a second`);
    const pauseMs = this.#modules.offers.pauseOf(requester);
    if (pauseMs > 0) return createRefusal('RATE_LIMITED', `it left its offers untaken: none for another ${pauseMs} ms`);
    const live = this.#modules.offers.live().filter((offer) => offer.requester === requester).length;
    if (live < MAX_LIVE_OFFERS_PER_PEER) return undefined;
    return createRefusal('RATE_LIMITED', `${live} offers to this requester are open`);
  }

  #describeFull(): Refusal {
    const { total, reserved, running } = this.#modules.dispatcher.use();
    return createRefusal('AT_CAPACITY', `${total} slots: ${running} running, ${reserved} reserved`);
  }

  #refuse(refusal: Refusal): OfferResponse {
    this.#modules.refusals.count(refusal);
    this.#modules.metrics.refusals.increment({ code: refusal.code });
    return { kind: 'refused', refusal };
  }

  async #offer(
    requester: PeerKey,
    request: OfferAsk,
    terms: Admitted & { readonly slots: number },
  ): Promise<OfferResponse> {
    const { clock, offers, metrics, logger } = this.#modules;
    const expiresAtMs = clock.nowMs() + this.#options.parameters.offerTtlMs;
    const { executor, isolation, slots } = terms;
    const reservation: Reservation = { requester, attempts: request.attempts, slots, executor, isolation, expiresAtMs };
    offers.reserve(reservation);
    try {
      const value = this.#describeOffer(reservation, request, terms.price);
      const offer = await signObject(OFFER, value, this.#modules.identity);
      offers.publish(reservation, offer);
      this.#offersMade += 1;
      metrics.offers.increment();
      this.#warm(reservation);
      return { kind: 'offer', offer: offer.wire };
    } catch (error) {
      offers.release(reservation);
      logger.error({ error }, 'an offer could not be signed');
      throw error;
    }
  }

  #describeOffer(reservation: Reservation, request: OfferAsk, price: bigint): Offer {
    return {
      type: 'fogproof/offer@1',
      network: this.#options.networkId,
      subject: request.subject,
      requester: reservation.requester,
      provider: this.#modules.identity.peer,
      nonce: this.#modules.random.bytes(16),
      terms: request.terms,
      attempts: request.attempts,
      price: price.toString(),
      isolation: reservation.isolation,
      instrumenter: reservation.executor.instrumenter,
      expiresAtMs: UnixMs(reservation.expiresAtMs),
    };
  }

  /** The child starts while the offer travels. */
  #warm({ executor, requester, isolation }: Reservation): void {
    executor.warm(requester, isolation).catch((error: unknown) => {
      if (!isAbortError(error)) this.#modules.logger.debug({ error }, 'no child could be started ahead of need');
    });
  }
}
