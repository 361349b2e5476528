import { type ObjectId, type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Offer } from '../../domain/offer.ts';
import type { Refusal, RefusalCode } from '../../domain/refusal.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { PeerBook, PeerTransport } from '../../network/interface.ts';
import {
  ASKED_LIMIT,
  OFFER_HEDGE_MS,
  QUEUED_OFFER_PATIENCE_MS,
  SEEK_BACKOFF_MS,
  SETTLED_REFUSAL_BACKOFF_MS,
} from '../constants.ts';
import type { AnnouncementsView } from '../interface.ts';
import type { Asked, EndRecord } from '../job-records.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { AnnouncementCourse } from './announcing/announcement-course.ts';
import type { Announcer } from './announcing/announcer.ts';
import { GIVEN_SPARES } from './announcing/constants.ts';
import type { GivenAnswer } from './announcing/given-offers.ts';
import { createTerms, type RankingModules, rankCandidates } from './candidates.ts';
import type { Checked } from './checked.ts';
import { verifyOffer } from './verify-offer.ts';

/** Refusals that pass by themselves: their provider is asked again soon. */
const PASSING: readonly RefusalCode[] = ['AT_CAPACITY', 'OFFER_UNKNOWN', 'DUPLICATE_LEASE', 'RATE_LIMITED'];

export interface OfferSearchModules extends RankingModules {
  readonly peers: PeerBook;
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly clock: Clock;
  readonly metrics: Pick<RequesterMetrics, 'offersAsked' | 'peerFaults'>;
  /** Called for each offer that verifies, while any is wanted. */
  readonly onOffer: (offer: Signed<Offer>) => void;
  /** Providers that may not be asked now: they hold a replica, or failed this job. */
  readonly isExcluded: (provider: PeerKey) => boolean;
  /** Absent: nothing is announced, only known peers are asked. */
  readonly announcer?: Announcer | undefined;
  /** Asked before the others, if they fit. */
  readonly preferred?: () => readonly PeerKey[];
}

export interface OfferSearchOptions {
  readonly network: string;
  readonly requester: PeerKey;
  readonly subject: ObjectId;
  readonly job: Job;
  readonly attempts: number;
  readonly maxFanOut: number;
  readonly timeoutMs: number;
}

interface Contact {
  asked: Asked | undefined;
  /** Monotonic time from which it may be asked (again). */
  notBeforeMs: number;
  backoffMs: number;
  /** Monotonic time at which the request under way was sent. */
  sentAtMs: number | undefined;
}

/**
 * Looks for as many offers as are wanted, for as long as it takes: asks the best candidates first and no more than
 * are wanted, since an offer reserves its provider's capacity; then the next on a refusal, at a hedge when an answer
 * tarries, again after a backoff, and at once when the book of peers changes. Where these are not enough the work is
 * announced, and offers that come unasked are taken as long as any is wanted. An offer that has to wait in its provider's
 * queue is kept for a moment while others may start at once.
 */
export class OfferSearch {
  readonly #modules: OfferSearchModules;
  readonly #options: OfferSearchOptions;
  readonly #contacts = new Map<PeerKey, Contact>();
  readonly #controller = new AbortController();
  #spares: Signed<Offer>[] = [];
  /** Since when a spare that queues is kept, monotonic ms. */
  readonly #keptSinceMs = new WeakMap<Signed<Offer>, number>();
  #wanted = 0;
  #timer: Disposable | undefined;
  #bookListener: Disposable | undefined;
  #course: AnnouncementCourse | undefined;

  constructor(modules: OfferSearchModules, options: OfferSearchOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Every provider asked with its last answer, in the order first asked. */
  get asked(): readonly Asked[] {
    return [...this.#contacts.values()].flatMap((contact) => contact.asked ?? []);
  }

  /** Null while nothing was announced. */
  get announced(): AnnouncementsView | null {
    return this.#course?.view ?? null;
  }

  want(count: number): void {
    this.#wanted = count;
    if (count === 0 || this.#controller.signal.aborted) return this.#rest();
    this.#course ??= this.#openCourse();
    this.#bookListener ??= this.#modules.peers.onChange(() => this.#pump());
    this.#pump();
  }

  /** A lease was refused or never reached its provider: what it answers counts as its answer to the offer. */
  note(provider: PeerKey, answer: Asked['answer']): void {
    this.#settle(provider, answer);
    if (this.#wanted > 0) this.#pump();
  }

  stop(): void {
    this.#wanted = 0;
    this.#controller.abort();
    this.#rest();
    this.#course?.stop();
  }

  #openCourse(): AnnouncementCourse | undefined {
    const { subject, job, attempts } = this.#options;
    const { capabilityClass } = job;
    const work = { subject, capabilityClass, terms: createTerms(job), attempts };
    return this.#modules.announcer?.open(work, (provider, wire) => this.#takeGiven(provider, wire));
  }

  #rest(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#bookListener?.[Symbol.dispose]();
    this.#bookListener = undefined;
    this.#course?.want(0, { isAsking: false });
  }

  #pump(): void {
    this.#takeSpares();
    if (this.#wanted === 0) return;
    const nowMs = this.#modules.clock.monotonicMs();
    const underWay = [...this.#contacts.values()].filter((contact) => contact.sentAtMs !== undefined);
    const fresh = underWay.filter((contact) => nowMs - (contact.sentAtMs ?? 0) < OFFER_HEDGE_MS).length;
    let room = Math.min(this.#wanted - fresh, this.#options.maxFanOut - underWay.length);
    for (const provider of this.#rank()) {
      if (room <= 0) break;
      if (!this.#isAskable(provider, nowMs)) continue;
      room -= 1;
      void this.#ask(provider, this.#contact(provider));
    }
    this.#scheduleNext(nowMs);
    // An ask that ended at once may have filled the last place: then nothing is lacking.
    const isAsking = [...this.#contacts.values()].some((contact) => contact.sentAtMs !== undefined);
    this.#course?.want(this.#wanted, { isAsking });
  }

  /** A provider whose offer is kept is not asked again: it would hold its capacity twice. */
  #isAskable(provider: PeerKey, nowMs: number): boolean {
    const contact = this.#contact(provider);
    if (contact.sentAtMs !== undefined || contact.notBeforeMs > nowMs) return false;
    if (this.#spares.some((offer) => offer.value.provider === provider)) return false;
    return !this.#modules.isExcluded(provider);
  }

  #rank(): readonly PeerKey[] {
    const ranked = rankCandidates(this.#modules, this.#options.job);
    const preferred = this.#modules.preferred?.() ?? [];
    if (preferred.length === 0) return ranked;
    return [
      ...ranked.filter((peer) => preferred.includes(peer)),
      ...ranked.filter((peer) => !preferred.includes(peer)),
    ];
  }

  /** Wakes at the next hedge, at the end of the next backoff, or when a kept offer is to be taken. */
  #scheduleNext(nowMs: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const times = [...this.#contacts.values()]
      .map((contact) => (contact.sentAtMs === undefined ? contact.notBeforeMs : contact.sentAtMs + OFFER_HEDGE_MS))
      .concat(this.#spares.map((offer) => (this.#keptSinceMs.get(offer) ?? nowMs) + QUEUED_OFFER_PATIENCE_MS))
      .filter((atMs) => atMs > nowMs);
    if (times.length === 0) return;
    this.#timer = this.#modules.clock.schedule(Math.min(...times) - nowMs, () => this.#pump());
  }

  #contact(provider: PeerKey): Contact {
    let contact = this.#contacts.get(provider);
    if (contact === undefined) {
      if (this.#contacts.size >= ASKED_LIMIT) this.#forgetOldest();
      contact = { asked: undefined, notBeforeMs: 0, backoffMs: SEEK_BACKOFF_MS.first, sentAtMs: undefined };
      this.#contacts.set(provider, contact);
    }
    return contact;
  }

  #forgetOldest(): void {
    for (const [provider, contact] of this.#contacts) {
      if (contact.sentAtMs !== undefined) continue;
      this.#contacts.delete(provider);
      return;
    }
  }

  async #ask(provider: PeerKey, contact: Contact): Promise<void> {
    const { subject, job, attempts, timeoutMs } = this.#options;
    contact.sentAtMs = this.#modules.clock.monotonicMs();
    const request = { op: 'ask' as const, subject, terms: createTerms(job), attempts };
    const options = { signal: this.#controller.signal, timeoutMs };
    try {
      const response = await this.#modules.transport.request(provider, 'offer', request, options);
      if (response.kind === 'refused') this.#settleRefusal(provider, response.refusal);
      else if (response.kind === 'offer') await this.#receive(provider, response.offer);
      else this.#settle(provider, { kind: 'unreachable', reason: 'it answered with something else than an offer' });
    } catch (error) {
      if (this.#controller.signal.aborted) return;
      this.#settle(provider, { kind: 'unreachable', reason: describeError(error).slice(0, 300) });
    } finally {
      contact.sentAtMs = undefined;
    }
    this.#pump();
  }

  #verify(provider: PeerKey, wire: SignedWire): Promise<Checked<Signed<Offer>>> {
    const { network, requester, subject, job, attempts } = this.#options;
    const nowMs = this.#modules.clock.nowMs();
    return verifyOffer(wire, { network, requester, provider, subject, terms: createTerms(job), attempts, nowMs });
  }

  async #receive(provider: PeerKey, wire: SignedWire): Promise<void> {
    const checked = await this.#verify(provider, wire);
    if (checked.kind === 'invalid') {
      this.#modules.metrics.peerFaults.increment({ code: checked.code });
      this.#settle(provider, { kind: 'unreachable', reason: `its offer is not valid: ${checked.reason}` });
      return;
    }
    this.#settle(provider, { kind: 'offered' });
    this.#spares.push(checked.value);
    this.#takeSpares();
  }

  /** An offer that comes unasked, on an announcement. What is not wanted lets its provider go free at once. */
  async #takeGiven(provider: PeerKey, wire: SignedWire): Promise<GivenAnswer> {
    if (!this.#isOpenTo(provider)) return 'unwanted';
    const checked = await this.#verify(provider, wire);
    if (checked.kind === 'invalid') {
      this.#modules.metrics.peerFaults.increment({ code: checked.code });
      return 'invalid';
    }
    // Others may have come while its signature was verified.
    if (!this.#isOpenTo(provider)) return 'unwanted';
    this.#settle(provider, { kind: 'offered' });
    this.#spares.push(checked.value);
    this.#pump();
    return this.#contact(provider).asked?.answer.kind === 'offered' ? 'wanted' : 'unwanted';
  }

  /** A peer that is being asked answers that; what it gives beside would hold its capacity twice. */
  #isOpenTo(provider: PeerKey): boolean {
    const nowMs = this.#modules.clock.nowMs();
    const spares = this.#spares.filter((offer) => offer.value.expiresAtMs > nowMs);
    if (this.#wanted === 0 || spares.length >= this.#wanted + GIVEN_SPARES) return false;
    if (this.#contacts.get(provider)?.sentAtMs !== undefined || this.#modules.isExcluded(provider)) return false;
    return spares.every((offer) => offer.value.provider !== provider);
  }

  /** Offers beyond what is wanted are kept while they live: a replacement starts at once. */
  #takeSpares(): void {
    const nowMs = this.#modules.clock.nowMs();
    this.#spares = this.#spares.filter((offer) => offer.value.expiresAtMs > nowMs);
    while (this.#wanted > 0) {
      const offer = this.#chooseSpare();
      if (offer === undefined) return;
      this.#spares = this.#spares.filter((spare) => spare !== offer);
      this.#modules.onOffer(offer);
    }
  }

  /** The one that starts first; if it has to queue, not before others had their chance to start at once. */
  #chooseSpare(): Signed<Offer> | undefined {
    const open = this.#spares.filter((offer) => !this.#modules.isExcluded(offer.value.provider));
    const [first] = open.sort((a, b) => waitOf(a) - waitOf(b));
    if (first === undefined || waitOf(first) === 0) return first;
    const nowMs = this.#modules.clock.monotonicMs();
    const keptSinceMs = this.#keptSinceMs.get(first) ?? nowMs;
    this.#keptSinceMs.set(first, keptSinceMs);
    if (nowMs - keptSinceMs >= QUEUED_OFFER_PATIENCE_MS) return first;
    const isAsking = [...this.#contacts.values()].some((contact) => contact.sentAtMs !== undefined);
    const mayBetterCome = isAsking || this.#rank().some((provider) => this.#isAskable(provider, nowMs));
    return mayBetterCome ? undefined : first;
  }

  #settleRefusal(provider: PeerKey, refusal: Refusal): void {
    this.#settle(provider, { kind: 'refused', refusal });
  }

  #settle(provider: PeerKey, answer: Asked['answer']): void {
    const { clock, metrics } = this.#modules;
    const contact = this.#contact(provider);
    contact.asked = { provider, atMs: UnixMs(clock.nowMs()), answer };
    const label = answer.kind === 'refused' ? answer.refusal.code : answer.kind;
    metrics.offersAsked.increment({ answer: label });
    contact.notBeforeMs = clock.monotonicMs() + chooseBackoff(answer, contact.backoffMs);
    const isOffer = answer.kind === 'offered';
    contact.backoffMs = isOffer ? SEEK_BACKOFF_MS.first : Math.min(contact.backoffMs * 2, SEEK_BACKOFF_MS.longest);
  }
}

/** How long an offer would wait in its provider's queue, ms. */
function waitOf({ value }: Signed<Offer>): number {
  return value.startsWithinMs ?? 0;
}

/** A provider knows best when it has room, within what this node thinks sensible. */
function chooseBackoff(answer: Asked['answer'], backoffMs: number): number {
  if (answer.kind !== 'refused') return backoffMs;
  const { code, retryAfterMs } = answer.refusal;
  if (retryAfterMs !== undefined) {
    return Math.min(Math.max(retryAfterMs, SEEK_BACKOFF_MS.first), SETTLED_REFUSAL_BACKOFF_MS);
  }
  return PASSING.includes(code) ? backoffMs : SETTLED_REFUSAL_BACKOFF_MS;
}

/** What a search has to tell of itself: whom it asked, and what it announced. */
export type SearchReport = Pick<EndRecord, 'asked' | 'announced'>;

export function describeSearch(search: OfferSearch): SearchReport {
  const { asked, announced } = search;
  return announced === null ? { asked } : { asked, announced };
}
