import { UnixMs } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { AnnouncementsView } from '../../interface.ts';
import type { AnnounceOutcome } from './announcer.ts';
import { ANNOUNCE_AFTER_MS, ANNOUNCE_BACKOFF_MS } from './constants.ts';
import type { GivenAnswer } from './given-offers.ts';

export interface AnnouncementCourseModules {
  readonly clock: Clock;
  /** Publishes one announcement. Never rejects. */
  readonly announce: (wanted: number, lifeMs: number) => Promise<AnnounceOutcome>;
  /** Offers for the work are taken until it is disposed. */
  readonly registration: Disposable;
}

/** When one search announces: a little after the known peers were asked, at once where none is left, then ever more seldom. */
export class AnnouncementCourse {
  readonly #modules: AnnouncementCourseModules;
  readonly #given: Record<GivenAnswer, number> = { wanted: 0, unwanted: 0, invalid: 0 };
  #wanted = 0;
  /** Monotonic time since when offers are lacking. */
  #sinceMs = 0;
  #notBeforeMs = 0;
  #backoffMs: number = ANNOUNCE_BACKOFF_MS.first;
  #timer: Disposable | undefined;
  #isPublishing = false;
  #isAsking = false;
  #isStopped = false;
  #count = 0;
  #last: { readonly atMs: UnixMs; readonly recipients: number } | null = null;
  #failure: string | null = null;

  constructor(modules: AnnouncementCourseModules) {
    this.#modules = modules;
  }

  /** Null while nothing was announced nor tried. */
  get view(): AnnouncementsView | null {
    if (this.#count === 0 && this.#failure === null) return null;
    return {
      count: this.#count,
      lastAtMs: this.#last?.atMs ?? null,
      lastRecipients: this.#last?.recipients ?? 0,
      given: { ...this.#given },
      failure: this.#failure,
    };
  }

  /** How many offers are lacking now, and whether known peers are still being asked for them. */
  want(count: number, { isAsking }: { readonly isAsking: boolean }): void {
    if (this.#isStopped) return;
    if (count > 0 && this.#wanted === 0) this.#sinceMs = this.#modules.clock.monotonicMs();
    if (count === 0) this.#backoffMs = ANNOUNCE_BACKOFF_MS.first;
    this.#wanted = count;
    this.#isAsking = isAsking;
    this.#schedule();
  }

  noteGiven(answer: GivenAnswer): void {
    this.#given[answer] += 1;
  }

  stop(): void {
    this.#isStopped = true;
    this.#wanted = 0;
    this.#timer?.[Symbol.dispose]();
    this.#modules.registration[Symbol.dispose]();
  }

  #schedule(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#wanted === 0 || this.#isPublishing) return;
    const { clock } = this.#modules;
    const nowMs = clock.monotonicMs();
    const dueAtMs = Math.max(this.#notBeforeMs, this.#isAsking ? this.#sinceMs + ANNOUNCE_AFTER_MS : nowMs);
    this.#timer = clock.schedule(Math.max(0, dueAtMs - nowMs), () => void this.#publish());
  }

  async #publish(): Promise<void> {
    this.#isPublishing = true;
    const waitMs = this.#backoffMs;
    const outcome = await this.#modules.announce(this.#wanted, 2 * waitMs);
    this.#isPublishing = false;
    this.#note(outcome);
    this.#notBeforeMs = this.#modules.clock.monotonicMs() + waitMs;
    this.#backoffMs = Math.min(waitMs * 2, ANNOUNCE_BACKOFF_MS.longest);
    if (!this.#isStopped) this.#schedule();
  }

  #note(outcome: AnnounceOutcome): void {
    switch (outcome.kind) {
      case 'sent':
        this.#count += 1;
        this.#last = { atMs: UnixMs(this.#modules.clock.nowMs()), recipients: outcome.recipients };
        this.#failure = null;
        return;
      case 'failed':
        this.#failure = outcome.reason;
        return;
      case 'paced':
        return;
      default:
        return outcome satisfies never;
    }
  }
}
