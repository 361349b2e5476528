import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../../domain/ids.ts';
import { FREE_WASTED_GIVES, MAX_FAMILIAR_REQUESTERS, STRANGER_PAUSE_MS } from './constants.ts';

/**
 * How much is given to requesters that never took anything here. Identities cost nothing, so what they waste is counted
 * for all of them together: who announces work that does not exist, under however many names, makes this node pass over
 * strangers for a while, and gains nothing over those who took what they were given, nor over those who ask.
 */
export class StrangerBudget {
  readonly #familiar = new LRUCache<PeerKey, true>({ max: MAX_FAMILIAR_REQUESTERS });
  #wasted = 0;
  #pausedUntilMs = 0;

  isStranger(requester: PeerKey): boolean {
    return this.#familiar.get(requester) === undefined;
  }

  /** Whether strangers are passed over now. Times are monotonic ms. */
  isPaused(nowMs: number): boolean {
    return nowMs < this.#pausedUntilMs;
  }

  noteTaken(requester: PeerKey): void {
    if (this.isStranger(requester)) this.#wasted = 0;
    this.#familiar.set(requester, true);
  }

  /** It held capacity and came to nothing: its requester never took it, or could not be reached. */
  noteWasted(requester: PeerKey, nowMs: number): void {
    if (!this.isStranger(requester)) {
      // One that wastes is a stranger again.
      this.#familiar.delete(requester);
      return;
    }
    this.#wasted += 1;
    const excess = this.#wasted - FREE_WASTED_GIVES;
    if (excess <= 0) return;
    this.#pausedUntilMs = nowMs + Math.min(STRANGER_PAUSE_MS.longest, STRANGER_PAUSE_MS.first * 2 ** (excess - 1));
  }
}
