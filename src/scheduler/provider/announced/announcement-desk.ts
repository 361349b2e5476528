import type { Announcement } from '../../../domain/announcement.ts';
import type { ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { Offer } from '../../../domain/offer.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import { TokenBucket } from '../../../lib/token-bucket.ts';
import type { PeerTransport } from '../../../network/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { SlotUse } from '../attempts/dispatcher.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { OfferBook, OfferEntry, Reservation } from '../offers/offer-book.ts';
import type { OfferDesk } from '../offers/offer-desk.ts';
import { computeAnswerDelay } from './answer-delay.ts';
import {
  GIVE_TIMEOUT_MS,
  GIVEN_SLOT_SHARE,
  GIVES_RATE,
  MAX_OPEN_GIVES,
  MAX_OPEN_GIVES_PER_REQUESTER,
  MAX_OPEN_GIVES_TO_STRANGER,
  UNREACHABLE_WASTE_MS,
} from './constants.ts';
import { StrangerBudget } from './stranger-budget.ts';
import { WaitingRoom } from './waiting-room.ts';

export interface AnnouncementDeskModules {
  readonly self: PeerKey;
  readonly transport: Pick<PeerTransport, 'request'>;
  /** Judges the terms as those of a request and reserves what the offer holds. */
  readonly proposer: Pick<OfferDesk, 'propose'>;
  readonly offers: Pick<OfferBook, 'find' | 'withdraw' | 'holding' | 'queued'>;
  readonly dispatcher: { use(): SlotUse };
  /** How many others take jobs, as far as is known. */
  readonly countProviders: () => number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Pick<ProviderMetrics, 'announcements'>;
  readonly isDraining: () => boolean;
}

/** What became of an announcement: the label of its metric. */
type Outcome =
  | 'taken'
  | 'lapsed'
  | 'unwanted'
  | 'unreachable'
  | 'refused'
  | 'expired'
  | 'draining'
  | 'own'
  | 'crowded'
  | 'stranger'
  | 'open-gives'
  | 'no-share'
  | 'rate';

/** An offer that was given, or is being made. */
interface Give {
  readonly requester: PeerKey;
  readonly subject: ObjectId;
  /** Since when it holds capacity, monotonic ms. */
  readonly sinceMs: number;
  offer: Signed<Offer> | null;
}

/**
 * Answers announcements with offers of its own accord. What such offers may hold is bounded, for one requester, for all
 * strangers together and in all, since whoever announces is heard by every provider at once.
 *
 * Which announcements were answered is forgotten with a restart: a second offer for the same one is harmless, for a
 * requester takes one offer of a provider and declines the other, and what the first reserved went with the process.
 */
export class AnnouncementDesk implements Disposable {
  readonly #modules: AnnouncementDeskModules;
  readonly #budget: StrangerBudget;
  readonly #waiting = new WaitingRoom();
  readonly #rate: TokenBucket;
  readonly #timers = new Set<Disposable>();
  readonly #gives = new Set<Give>();
  readonly #controller = new AbortController();

  constructor(modules: AnnouncementDeskModules) {
    this.#modules = modules;
    const nowMs = modules.clock.monotonicMs();
    this.#rate = new TokenBucket(GIVES_RATE, nowMs);
    this.#budget = new StrangerBudget(nowMs);
  }

  /** Takes note of a valid announcement; it is answered, or not, a little later. */
  hear(announcement: Signed<Announcement>): void {
    const { requester } = announcement.value;
    if (requester === this.#modules.self) return this.#count('own');
    const hindrance = this.#findHindrance(announcement.value);
    if (hindrance !== null) return this.#count(hindrance);
    const place = this.#waiting.enter(requester, this.#budget.isStranger(requester) ? 'stranger' : 'familiar');
    if (place === null) return this.#count('crowded');
    this.#after(this.#delay(announcement.value.wanted), () => {
      place[Symbol.dispose]();
      this.#answer(announcement.value).catch((error: unknown) => {
        this.#modules.logger.error({ error, requester }, 'an announcement could not be answered');
      });
    });
  }

  /** Answers nothing any more; what was given stays takeable until it expires. */
  [Symbol.dispose](): void {
    this.#controller.abort();
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
  }

  /** What keeps this node from giving an offer now. */
  #findHindrance({ requester, subject, expiresAtMs }: Announcement): Outcome | null {
    const { clock, isDraining } = this.#modules;
    const nowMs = clock.monotonicMs();
    if (isDraining()) return 'draining';
    if (clock.nowMs() >= expiresAtMs) return 'expired';
    const isStranger = this.#budget.isStranger(requester);
    if (isStranger && this.#budget.isPaused(nowMs)) return 'stranger';
    if (this.#hasOffer(requester, subject)) return 'open-gives';
    const open = this.#openGives();
    const own = open.filter((give) => give.requester === requester).length;
    const most = isStranger ? MAX_OPEN_GIVES_TO_STRANGER : MAX_OPEN_GIVES_PER_REQUESTER;
    if (own >= most || open.length >= MAX_OPEN_GIVES) return 'open-gives';
    return this.#heldSlots(open) < this.#slotShare() ? null : 'no-share';
  }

  async #answer(announcement: Announcement): Promise<void> {
    const hindrance = this.#findHindrance(announcement);
    if (hindrance !== null) return this.#count(hindrance);
    if (!this.#rate.take(this.#modules.clock.monotonicMs())) return this.#count('rate');
    const { requester, subject, terms, attempts } = announcement;
    const give: Give = { requester, subject, sinceMs: this.#modules.clock.monotonicMs(), offer: null };
    this.#gives.add(give);
    try {
      const proposal = await this.#modules.proposer.propose(requester, { subject, terms, attempts });
      if (proposal.kind === 'refused') return this.#count('refused');
      give.offer = proposal.offer;
    } finally {
      if (give.offer === null) this.#gives.delete(give);
    }
    await this.#give(give, give.offer);
  }

  async #give(give: Give, offer: Signed<Offer>): Promise<void> {
    const answer = await this.#ask(give.requester, offer);
    if (answer === 'wanted') return this.#watch(give, offer);
    // Taken all the same, where the answer was lost on its way.
    if (this.#isTaken(offer)) return this.#noteTaken(give.requester);
    this.#modules.offers.withdraw(offer.id);
    this.#noteWasted(give, answer === 'unreachable' ? UNREACHABLE_WASTE_MS : 0);
    this.#count(answer);
  }

  async #ask(requester: PeerKey, offer: Signed<Offer>): Promise<'wanted' | 'unwanted' | 'unreachable'> {
    const { transport, logger } = this.#modules;
    const options = { signal: this.#controller.signal, timeoutMs: GIVE_TIMEOUT_MS };
    try {
      const response = await transport.request(requester, 'offer', { op: 'give', offer: offer.wire }, options);
      return response.kind === 'noted' && response.isWanted ? 'wanted' : 'unwanted';
    } catch (error) {
      logger.debug({ requester, reason: describeError(error) }, 'a requester did not take note of an offer');
      return 'unreachable';
    }
  }

  /** An offer that expires untaken tells of its requester. */
  #watch(give: Give, offer: Signed<Offer>): void {
    this.#after(Math.max(0, offer.value.expiresAtMs - this.#modules.clock.nowMs() - 1), () => {
      if (this.#isTaken(offer)) return this.#noteTaken(give.requester);
      this.#noteWasted(give);
      this.#count('lapsed');
    });
  }

  /** Once it has expired the book has forgotten it: then it counts as wasted, whatever became of it. */
  #isTaken(offer: Signed<Offer>): boolean {
    const { clock, offers } = this.#modules;
    return clock.nowMs() < offer.value.expiresAtMs && offers.find(offer.id) === undefined;
  }

  #noteTaken(requester: PeerKey): void {
    this.#budget.noteTaken(requester);
    this.#count('taken');
  }

  /** Counts the time for which it held capacity, whoever let it go and why. */
  #noteWasted({ requester, sinceMs }: Give, leastMs = 0): void {
    const nowMs = this.#modules.clock.monotonicMs();
    this.#budget.noteWasted(requester, Math.max(leastMs, nowMs - sinceMs), nowMs);
  }

  /** Also one that it asked for: it would hold capacity twice. */
  #hasOffer(requester: PeerKey, subject: ObjectId): boolean {
    const { offers } = this.#modules;
    if (
      [...this.#gives].some((give) => give.requester === requester && give.subject === subject && this.#isOpen(give))
    ) {
      return true;
    }
    const isForIt = (entry: Reservation): boolean =>
      entry.requester === requester && 'offer' in entry && (entry as OfferEntry).offer.value.subject === subject;
    return [...offers.holding(), ...offers.queued()].some(isForIt);
  }

  #openGives(): readonly Give[] {
    for (const give of this.#gives) if (!this.#isOpen(give)) this.#gives.delete(give);
    return [...this.#gives];
  }

  #isOpen(give: Give): boolean {
    return give.offer === null || this.#modules.offers.find(give.offer.id) !== undefined;
  }

  /** One that is being made counts as if it held a slot. */
  #heldSlots(open: readonly Give[]): number {
    return open.reduce((sum, { offer }) => sum + (offer === null ? 1 : this.#slotsOf(offer)), 0);
  }

  #slotsOf(offer: Signed<Offer>): number {
    return this.#modules.offers.find(offer.id)?.slots ?? 0;
  }

  #slotShare(): number {
    return Math.max(1, Math.floor(this.#modules.dispatcher.use().total * GIVEN_SLOT_SHARE));
  }

  #delay(wanted: number): number {
    const { dispatcher, countProviders, random } = this.#modules;
    const { total, reserved, running } = dispatcher.use();
    const load = total === 0 ? 1 : (reserved + running) / total;
    return computeAnswerDelay({ load, providers: countProviders(), wanted }, random);
  }

  #after(delayMs: number, task: () => void): void {
    if (this.#controller.signal.aborted) return;
    const timer = this.#modules.clock.schedule(delayMs, () => {
      this.#timers.delete(timer);
      task();
    });
    this.#timers.add(timer);
  }

  #count(outcome: Outcome): void {
    this.#modules.metrics.announcements.increment({ outcome });
  }
}
