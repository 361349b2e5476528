import type { PeerKey } from '../../../domain/ids.ts';
import type { JobTerms } from '../../../domain/offer.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Dispatcher } from '../attempts/dispatcher.ts';
import { FULL_REQUESTERS, MAX_QUEUED_RUNS, MIN_RUN_MS, RETRY_AFTER_MS } from '../constants.ts';
import type { OfferBook } from '../offers/offer-book.ts';
import { createRefusal } from '../offers/refusals.ts';
import type { QueueOptions } from '../options.ts';
import type { QueuedWork, QueueEntry } from './fair-queue.ts';
import { computeFootprint, countFitting, type Footprint, type HostGauge, NO_FOOTPRINT } from './host-gauge.ts';
import type { ServiceTimes } from './service-times.ts';
import { priorityOf } from './urgency.ts';

export interface QueuePlannerModules {
  readonly dispatcher: Dispatcher;
  readonly offers: OfferBook;
  readonly gauge: HostGauge;
  readonly services: ServiceTimes;
  readonly clock: Clock;
}

export interface PlannedAsk {
  readonly requester: PeerKey;
  readonly attempts: number;
  readonly terms: Pick<JobTerms, 'workloadKind' | 'resources' | 'deadlineMs' | 'priority'>;
}

export type Plan =
  /** One attempt can start at once; of a batch the others queue. */
  | { readonly kind: 'start'; readonly expectedMs: number }
  | { readonly kind: 'wait'; readonly startsWithinMs: number; readonly expectedMs: number }
  | { readonly kind: 'full'; readonly refusal: Refusal };

/** What waits, by offers that hold a place and by what was leased. */
interface Waiting {
  readonly attempts: number;
  /** Slot time that it is expected to take, ms. */
  readonly workMs: number;
}

/** Judges whether more work can start at once, may wait its turn, or is too much. */
export class QueuePlanner {
  readonly #modules: QueuePlannerModules;
  readonly #options: QueueOptions;

  constructor(modules: QueuePlannerModules, options: { readonly queue: QueueOptions }) {
    this.#modules = modules;
    this.#options = options.queue;
  }

  plan(ask: PlannedAsk): Plan {
    const { dispatcher, gauge } = this.#modules;
    const footprint = computeFootprint(ask.terms.resources);
    if (countFitting(gauge.room, NO_FOOTPRINT, footprint) < 1) return full(this.#describeHost(ask));
    const expectedMs = this.#estimateService(ask);
    const fits = countFitting(gauge.room, dispatcher.computeHeld(), footprint) > 0;
    if (fits && dispatcher.freeSlots() > 0 && dispatcher.queue.size === 0) return { kind: 'start', expectedMs };
    return this.#planWait(ask, expectedMs);
  }

  /** How long one more job of nobody in particular would wait, ms. */
  estimateWait(): number {
    const sinceMs = this.#modules.clock.monotonicMs();
    return this.#estimateWait({ owner: '', priority: 'normal', form: 'single', sinceMs }, NO_FOOTPRINT);
  }

  #planWait(ask: PlannedAsk, expectedMs: number): Plan {
    const { clock } = this.#modules;
    const { requester, attempts, terms } = ask;
    const entry: QueueEntry = {
      owner: requester,
      priority: priorityOf(terms),
      form: attempts > 1 ? 'batch' : 'single',
      sinceMs: clock.monotonicMs(),
    };
    const waitMs = this.#estimateWait(entry, computeFootprint(terms.resources));
    const retryAfterMs = clampRetry(waitMs - this.#options.maxWaitMs);
    const excess = this.#findExcess(ask) ?? this.#judgeWait(waitMs);
    if (excess !== undefined) {
      const { total, reserved, running } = this.#modules.dispatcher.use();
      const detail = `${total} slots: ${running} running, ${reserved} reserved; ${excess}`;
      return full(createRefusal('AT_CAPACITY', detail, retryAfterMs));
    }
    const leftMs = terms.deadlineMs - clock.nowMs() - waitMs;
    if (leftMs < MIN_RUN_MS) {
      const detail = `it could start in ${Math.ceil(waitMs)} ms, which leaves ${Math.floor(leftMs)} ms before the deadline`;
      return full(createRefusal('DEADLINE_TOO_SOON', detail, retryAfterMs));
    }
    return { kind: 'wait', startsWithinMs: Math.max(1, Math.ceil(waitMs)), expectedMs };
  }

  #judgeWait(waitMs: number): string | undefined {
    const { maxWaitMs } = this.#options;
    if (waitMs <= maxWaitMs) return undefined;
    return `the next would start in ${Math.ceil(waitMs)} ms, at most ${maxWaitMs} ms are promised`;
  }

  /** Which bound of the queue is reached; a requester that has nothing in it may always bring one offer's worth. */
  #findExcess({ requester, attempts }: PlannedAsk): string | undefined {
    const limit = this.#options;
    if (limit.attempts === 0 || this.#modules.dispatcher.slots === 0) return 'it has no queue';
    const byOwner = this.#collectWaiting();
    const own = byOwner.get(requester) ?? { attempts: 0, workMs: 0 };
    const all = [...byOwner.values()].reduce((sum, waiting) => sum + waiting.attempts, 0);
    if (own.attempts > 0 && own.attempts + attempts > limit.attemptsPerRequester) {
      return `${own.attempts} attempts of this requester wait, at most ${limit.attemptsPerRequester} may`;
    }
    if (all > 0 && all + attempts > limit.attempts) return `${all} attempts wait, at most ${limit.attempts} may`;
    const offers = [...this.#modules.offers.queued()].length;
    if (this.#modules.dispatcher.queue.size + offers >= MAX_QUEUED_RUNS) {
      return `${MAX_QUEUED_RUNS} offers wait, and more may not`;
    }
    return this.#findExcessWork(own, [...byOwner.values()]);
  }

  #findExcessWork(own: Waiting, everyone: readonly Waiting[]): string | undefined {
    const shareMs = this.#options.maxWorkMs * this.#modules.dispatcher.slots;
    if (own.workMs > shareMs) {
      return `work of this requester for ${Math.round(own.workMs)} ms waits, at most ${shareMs} ms may`;
    }
    // One requester's endless batch must not shut out the others: more than its share does not count.
    const sumMs = everyone.reduce((sum, { workMs }) => sum + Math.min(workMs, shareMs), 0);
    if (sumMs <= shareMs * FULL_REQUESTERS) return undefined;
    return `work for ${Math.round(sumMs)} ms waits, at most ${shareMs * FULL_REQUESTERS} ms may`;
  }

  #collectWaiting(): ReadonlyMap<PeerKey, Waiting> {
    const { dispatcher, offers } = this.#modules;
    const byOwner = new Map<PeerKey, Waiting>();
    const add = (owner: PeerKey, { attempts, eachMs }: QueuedWork): void => {
      const before = byOwner.get(owner) ?? { attempts: 0, workMs: 0 };
      byOwner.set(owner, { attempts: before.attempts + attempts, workMs: before.workMs + attempts * eachMs });
    };
    for (const run of dispatcher.runs) add(run.options.requester, dispatcher.estimateWork(run));
    for (const { requester, attempts, expectedMs } of offers.queued()) add(requester, { attempts, eachMs: expectedMs });
    return byOwner;
  }

  #estimateWait(entry: QueueEntry, footprint: Footprint): number {
    const { dispatcher, offers } = this.#modules;
    let aheadMs = dispatcher.queue.estimateAhead(entry, (run) => dispatcher.estimateWork(run));
    for (const offer of offers.queued()) {
      aheadMs += offer.requester === entry.owner ? offer.attempts * offer.expectedMs : offer.expectedMs;
    }
    return dispatcher.estimateNextFree(footprint) + aheadMs / Math.max(1, dispatcher.slots);
  }

  #estimateService({ requester, terms }: PlannedAsk): number {
    const { workloadKind: kind, resources } = terms;
    return this.#modules.services.estimate({ requester, kind, wallTimeMs: resources.wallTimeMs });
  }

  #describeHost({ terms }: PlannedAsk): Refusal {
    const { room } = this.#modules.gauge;
    const asked = computeFootprint(terms.resources);
    const detail =
      asked.memoryBytes > room.memoryBytes
        ? `${asked.memoryBytes} bytes of memory with its sandbox, the host has ${room.memoryBytes} for jobs now`
        : `${asked.diskBytes} bytes of output, the disk has ${room.diskBytes} for jobs now`;
    return createRefusal('AT_CAPACITY', detail, RETRY_AFTER_MS.longest);
  }
}

function full(refusal: Refusal): Plan {
  return { kind: 'full', refusal };
}

function clampRetry(retryAfterMs: number): number {
  return Math.ceil(Math.min(RETRY_AFTER_MS.longest, Math.max(RETRY_AFTER_MS.shortest, retryAfterMs)));
}
