import { LRUCache } from 'lru-cache';
import type { OfferedGpu } from '../../../domain/gpu.ts';
import { type PeerKey, UnixMs } from '../../../domain/ids.ts';
import type { OfferAsk, OfferResponse } from '../../../domain/messages.ts';
import { OFFER, type Offer } from '../../../domain/offer.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import { isAbortError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import { TokenBucket } from '../../../lib/token-bucket.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObject } from '../../../proofs/signed-object.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import {
  MAX_LIVE_OFFERS_PER_PEER,
  MAX_RATED_PEERS,
  OFFER_BURST,
  OFFERS_PER_SECOND,
  OVERLOAD_RETRY_MS,
} from '../constants.ts';
import type { GpuDesk } from '../gpus/gpu-desk.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { JobProviderOptions } from '../options.ts';
import type { DecisionLog } from '../policy/decision-log.ts';
import { computeFootprint, type HostGauge } from '../queue/host-gauge.ts';
import type { Plan, QueuePlanner } from '../queue/queue-planner.ts';
import { priorityOf } from '../queue/urgency.ts';
import type { Admission, Admitted, RefusedByRule } from './admission.ts';
import type { OfferBook, Reservation } from './offer-book.ts';
import { createRefusal, type RefusalTally } from './refusals.ts';

export type Proposal = { readonly kind: 'offer'; readonly offer: Signed<Offer> } | RefusedByRule;

export interface OfferDeskModules {
  readonly identity: EnvelopeSigner;
  readonly admission: Admission;
  readonly offers: OfferBook;
  readonly planner: QueuePlanner;
  readonly gauge: HostGauge;
  readonly gpus: Pick<GpuDesk, 'refresh'>;
  readonly refusals: RefusalTally;
  readonly decisions: DecisionLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ProviderMetrics;
  readonly isDraining: () => boolean;
}

/** Answers offer requests from their terms alone; an offer holds its slot or its place from before it is signed. */
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
    const proposal = await this.propose(requester, request);
    return proposal.kind === 'refused' ? this.#refuse(proposal) : { kind: 'offer', offer: proposal.offer.wire };
  }

  /** An offer that holds what it needs, as if it had been asked for; a refusal is not counted. */
  async propose(requester: PeerKey, request: Omit<OfferAsk, 'op'>): Promise<Proposal> {
    const proposal = await this.#propose(requester, request);
    const { decisions } = this.#modules;
    if (proposal.kind === 'offer') decisions.offered(requester, request, proposal.offer.id);
    else decisions.refused({ of: 'offer', requester, subject: request.subject }, proposal);
    return proposal;
  }

  async #propose(requester: PeerKey, request: Omit<OfferAsk, 'op'>): Promise<Proposal> {
    await Promise.all([this.#modules.gauge.refresh(), this.#modules.gpus.refresh(request.terms.resources.gpus)]);
    // From here until the offer is reserved nothing is awaited: no other can take what it was judged by.
    const early = this.#judgeNode(requester);
    if (early !== undefined) return { kind: 'refused', refusal: early };
    const answer = this.#modules.admission.judge(requester, { op: 'ask', ...request });
    if (answer.kind === 'refused') return answer;
    const plan = this.#modules.planner.plan({ requester, ...request });
    if (plan.kind === 'full') return { kind: 'refused', refusal: plan.refusal };
    return { kind: 'offer', offer: await this.#offer(requester, request, { ...answer.admitted, plan }) };
  }

  #judgeNode(requester: PeerKey): Refusal | undefined {
    if (this.#modules.isDraining()) return createRefusal('DRAINING', 'it finishes what it has and takes nothing new');
    const nowMs = this.#modules.clock.monotonicMs();
    const rate =
      this.#rates.get(requester) ?? new TokenBucket({ perSecond: OFFERS_PER_SECOND, burst: OFFER_BURST }, nowMs);
    this.#rates.set(requester, rate);
    if (!rate.take(nowMs)) {
      return createRefusal('RATE_LIMITED', `more than ${OFFERS_PER_SECOND} requests a second`, 1_000);
    }
    const pauseMs = this.#modules.offers.pauseOf(requester);
    if (pauseMs > 0) {
      const detail = `it left its offers untaken: none for another ${pauseMs} ms`;
      return createRefusal('RATE_LIMITED', detail, Math.max(1, Math.ceil(pauseMs)));
    }
    const live = this.#modules.offers.countOf(requester);
    if (live >= MAX_LIVE_OFFERS_PER_PEER) {
      return createRefusal('RATE_LIMITED', `${live} offers to this requester are open`);
    }
    const overload = this.#modules.gauge.describeOverload();
    return overload === undefined ? undefined : createRefusal('AT_CAPACITY', overload, OVERLOAD_RETRY_MS);
  }

  #refuse({ refusal, rule }: RefusedByRule): OfferResponse {
    this.#modules.refusals.count(refusal, rule);
    this.#modules.metrics.refusals.increment({ code: refusal.code });
    return { kind: 'refused', refusal };
  }

  async #offer(
    requester: PeerKey,
    request: Omit<OfferAsk, 'op'>,
    terms: Admitted & { readonly plan: Exclude<Plan, { kind: 'full' }> },
  ): Promise<Signed<Offer>> {
    const { clock, offers, metrics, logger } = this.#modules;
    const expiresAtMs = clock.nowMs() + this.#options.parameters.offerTtlMs;
    const { executor, isolation, evidence, gpus, plan } = terms;
    const reservation: Reservation = {
      requester,
      attempts: request.attempts,
      slots: plan.kind === 'start' ? 1 : 0,
      startsWithinMs: plan.kind === 'start' ? null : plan.startsWithinMs,
      priority: priorityOf(request.terms),
      footprint: computeFootprint(request.terms.resources),
      expectedMs: plan.expectedMs,
      executor,
      isolation,
      evidence,
      gpus,
      expiresAtMs,
    };
    offers.reserve(reservation);
    try {
      const value = this.#describeOffer(reservation, request, terms.price);
      const offer = await signObject(OFFER, value, this.#modules.identity);
      offers.publish(reservation, offer);
      this.#offersMade += 1;
      metrics.offers.increment();
      if (reservation.slots > 0) this.#warm(reservation);
      return offer;
    } catch (error) {
      offers.release(reservation);
      logger.error({ error }, 'an offer could not be signed');
      throw error;
    }
  }

  #describeOffer(reservation: Reservation, request: Omit<OfferAsk, 'op'>, price: bigint): Offer {
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
      ...(reservation.evidence === null ? {} : { evidence: reservation.evidence }),
      ...(reservation.gpus.length === 0 ? {} : { gpus: reservation.gpus.map(describeGpu) }),
      ...(reservation.startsWithinMs === null ? {} : { startsWithinMs: reservation.startsWithinMs }),
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

/** Which one of a kind it is stands in the receipt alone. */
function describeGpu({ model, memoryBytes, mig }: OfferedGpu): OfferedGpu {
  return { model, memoryBytes, mig };
}
