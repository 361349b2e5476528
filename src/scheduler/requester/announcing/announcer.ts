import { ANNOUNCEMENT, type Announcement } from '../../../domain/announcement.ts';
import { UnixMs } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import { TokenBucket } from '../../../lib/token-bucket.ts';
import type { JobAnnouncements } from '../../../network/interface.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObject } from '../../../proofs/signed-object.ts';
import type { RequesterMetrics } from '../../metrics.ts';
import type { OfferRouter } from '../../offer-router.ts';
import { AnnouncementCourse } from './announcement-course.ts';
import { ANNOUNCE_PACE, ANNOUNCEMENT_LIFE_MS, MAX_WANTED } from './constants.ts';
import { GivenOffers, type OfferTaker } from './given-offers.ts';

/** What an announcement says of the work. */
export type AnnouncedWork = Pick<Announcement, 'subject' | 'capabilityClass' | 'terms' | 'attempts'>;

export interface AnnouncerModules {
  readonly announcements: JobAnnouncements;
  readonly router: OfferRouter;
  readonly signer: EnvelopeSigner;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Pick<RequesterMetrics, 'announcements' | 'offersGiven'>;
}

export type AnnounceOutcome =
  | { readonly kind: 'sent'; readonly recipients: number }
  /** Too many of this node's jobs are announced already. */
  | { readonly kind: 'paced' }
  | { readonly kind: 'failed'; readonly reason: string };

/** Announces this node's work, all of it together no faster than peers let pass, and gives out what is offered for it. */
export class Announcer {
  readonly #given: GivenOffers;
  readonly #modules: AnnouncerModules;
  readonly #networkId: string;
  readonly #pace: TokenBucket;
  #answering: Disposable | undefined;

  constructor(modules: AnnouncerModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#networkId = options.networkId;
    this.#pace = new TokenBucket(ANNOUNCE_PACE, modules.clock.monotonicMs());
    this.#given = new GivenOffers(modules);
  }

  /** Begins to take offers for some work; it is announced once the course is told that some are wanted. */
  open(work: AnnouncedWork, taker: OfferTaker): AnnouncementCourse {
    const { clock } = this.#modules;
    const course: AnnouncementCourse = new AnnouncementCourse({
      clock,
      announce: (wanted, lifeMs) => this.#announce(work, { wanted, lifeMs }),
      registration: this.#given.register(work.subject, async (provider, wire) => {
        const answer = await taker(provider, wire);
        course.noteGiven(answer);
        return answer;
      }),
    });
    return course;
  }

  /** Takes what providers give. */
  start(): void {
    this.#answering ??= this.#modules.router.answerGives((provider, request) => this.#given.answer(provider, request));
  }

  stop(): void {
    this.#answering?.[Symbol.dispose]();
    this.#answering = undefined;
  }

  async #announce(
    work: AnnouncedWork,
    { wanted, lifeMs }: { readonly wanted: number; readonly lifeMs: number },
  ): Promise<AnnounceOutcome> {
    const outcome = await this.#publish(work, wanted, lifeMs);
    const isUnheard = outcome.kind === 'sent' && outcome.recipients === 0;
    this.#modules.metrics.announcements.increment({ result: isUnheard ? 'unheard' : outcome.kind });
    return outcome;
  }

  async #publish(work: AnnouncedWork, wanted: number, lifeMs: number): Promise<AnnounceOutcome> {
    const { announcements, clock, signer } = this.#modules;
    if (!this.#pace.take(clock.monotonicMs())) return { kind: 'paced' };
    try {
      const announcement = await signObject(ANNOUNCEMENT, this.#describe(work, wanted, lifeMs), signer);
      return { kind: 'sent', ...(await announcements.announce(announcement)) };
    } catch (error) {
      return { kind: 'failed', reason: describeError(error).slice(0, 300) };
    }
  }

  #describe(work: AnnouncedWork, wanted: number, lifeMs: number): Announcement {
    const { clock, random, signer } = this.#modules;
    const nowMs = clock.nowMs();
    const bounded = Math.min(Math.max(lifeMs, ANNOUNCEMENT_LIFE_MS.shortest), ANNOUNCEMENT_LIFE_MS.longest);
    // Nobody needs to hear of a job that is over; one that is over already is not announced, but the clock may have moved.
    const leftMs = Math.max(1, work.terms.deadlineMs - nowMs);
    return {
      type: 'fogproof/announcement@1',
      network: this.#networkId,
      ...work,
      requester: signer.peer,
      wanted: Math.min(wanted, MAX_WANTED),
      nonce: random.bytes(16),
      issuedAtMs: UnixMs(nowMs),
      expiresAtMs: UnixMs(nowMs + Math.min(bounded, leftMs)),
    };
  }
}
