import type { Clock } from '../lib/clock.ts';
import { WORK_SLICE_MS } from './constants.ts';

/** Spreads work that comes all at once over turns of the event loop, so that others have theirs between. */
export class WorkTurns {
  readonly #clock: Clock;
  #turnMs: number;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
    this.#turnMs = clock.monotonicMs();
  }

  /**
   * Resolves when the next piece may begin: once the one before has ended or waits for something, and not before others had
   * a turn if the last one was a while ago.
   */
  async after(piece: Promise<unknown>): Promise<void> {
    const turn = Promise.withResolvers<void>();
    const immediate = setImmediate(() => {
      this.#turnMs = this.#clock.monotonicMs();
      turn.resolve();
    });
    await Promise.race([piece, turn.promise]);
    if (this.#clock.monotonicMs() - this.#turnMs >= WORK_SLICE_MS) await turn.promise;
    clearImmediate(immediate);
  }
}
