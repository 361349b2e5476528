import type { PeerKey } from '../../../domain/ids.ts';
import { MAX_QUEUED_BATCHES } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { OfferBook } from '../offers/offer-book.ts';
import type { Attempt } from './attempt.ts';
import type { Run } from './run.ts';

export interface DispatcherModules {
  readonly offers: OfferBook;
  /** Runs one attempt until its lane is free again. Never rejects. */
  readonly execute: (attempt: Attempt) => Promise<void>;
  readonly metrics: Pick<ProviderMetrics, 'usedSlots'>;
}

export interface SlotUse {
  readonly total: number;
  readonly reserved: number;
  readonly running: number;
}

/**
 * Gives slots to runs, oldest first. What is in use is recomputed each time from the live offers and the runs that are
 * there, so that no count can drift (design section 6).
 */
export class Dispatcher {
  readonly #modules: DispatcherModules;
  readonly #slots: number;
  readonly #runs = new Set<Run>();

  constructor(modules: DispatcherModules, options: { readonly slots: number }) {
    this.#modules = modules;
    this.#slots = options.slots;
  }

  get runs(): ReadonlySet<Run> {
    return this.#runs;
  }

  use(): SlotUse {
    const offered = this.#modules.offers.live().reduce((sum, offer) => sum + offer.slots, 0);
    let held = 0;
    let running = 0;
    for (const run of this.#runs) {
      held += run.heldSlots;
      running += run.lanes.size;
    }
    return { total: this.#slots, reserved: offered + held - running, running };
  }

  freeSlots(): number {
    const { total, reserved, running } = this.use();
    return total - reserved - running;
  }

  /**
   * Slots that an offer over `attempts` would hold; undefined if there is none. A batch may also wait, with none, behind
   * a batch of the same requester, so that the next one is there when the first ends.
   */
  plan(requester: PeerKey, attempts: number): number | undefined {
    const free = this.freeSlots();
    if (free > 0) return Math.min(free, attempts);
    return attempts > 1 && this.#mayWait(requester) ? 0 : undefined;
  }

  #mayWait(requester: PeerKey): boolean {
    const runs = [...this.#runs].filter((run) => run.options.isBatch);
    const isFollowing = runs.some((run) => run.options.requester === requester && run.grantedSlots > 0);
    const waiting =
      runs.filter((run) => run.grantedSlots === 0).length +
      this.#modules.offers.live().filter((offer) => offer.slots === 0).length;
    return isFollowing && waiting < MAX_QUEUED_BATCHES;
  }

  /** Holds the run's slots from now on. */
  add(run: Run): void {
    this.#runs.add(run);
  }

  /** Forgets a run that never started. */
  drop(run: Run): void {
    this.#runs.delete(run);
    this.pump();
  }

  /** Forgets an attempt that has ended, and its run with the last one. */
  end(attempt: Attempt): void {
    const { run } = attempt;
    run.live.delete(attempt);
    run.withdraw(attempt);
    if (run.isOver) this.drop(run);
  }

  /** Starts what has a slot. */
  pump(): void {
    for (const run of this.#runs) {
      if (!run.isStarted || run.waiting === 0) continue;
      const wanted = run.lanes.size + run.waiting - run.grantedSlots;
      if (wanted > 0 && run.options.isBatch) run.grantedSlots += Math.max(0, Math.min(wanted, this.freeSlots()));
      while (run.lanes.size < run.grantedSlots && this.#startNext(run));
    }
    this.#modules.metrics.usedSlots.set(this.#slots - this.freeSlots());
  }

  #startNext(run: Run): boolean {
    const attempt = run.takeNext();
    if (attempt === undefined) return false;
    run.lanes.add(attempt);
    void this.#modules.execute(attempt).finally(() => {
      run.lanes.delete(attempt);
      if (run.isOver) this.#runs.delete(run);
      this.pump();
    });
    return true;
  }
}
