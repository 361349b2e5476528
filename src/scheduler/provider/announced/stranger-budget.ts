import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../../domain/ids.ts';
import { FAMILIAR_WASTE_MS, MAX_FAMILIAR_REQUESTERS, STRANGER_WASTE } from './constants.ts';

/**
 * How long offers to requesters that never took anything here may hold capacity for nothing. Identities cost nothing, so
 * what they waste is counted for all of them together: who announces work that does not exist, under however many names,
 * and whether it lets offers lapse or declines them late, makes this node pass over strangers for a while. It gains nothing
 * over those who took what they were given, nor over those who ask. Times are monotonic ms.
 */
export class StrangerBudget {
  /** What each has wasted since it last took an offer, ms. */
  readonly #familiar = new LRUCache<PeerKey, number>({ max: MAX_FAMILIAR_REQUESTERS });
  /** What strangers may still waste; below 0, what they have wasted too much. */
  #leftMs: number = STRANGER_WASTE.atOnceMs;
  #asOfMs: number;

  constructor(nowMs: number) {
    this.#asOfMs = nowMs;
  }

  isStranger(requester: PeerKey): boolean {
    return this.#familiar.get(requester) === undefined;
  }

  /** Whether strangers are passed over now. */
  isPaused(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#leftMs <= 0;
  }

  noteTaken(requester: PeerKey): void {
    if (this.isStranger(requester)) this.#leftMs = STRANGER_WASTE.atOnceMs;
    this.#familiar.set(requester, 0);
  }

  /** An offer to it held capacity for so long and came to nothing. */
  noteWasted(requester: PeerKey, heldMs: number, nowMs: number): void {
    const known = this.#familiar.get(requester);
    if (known !== undefined) {
      // One that wastes much is a stranger again.
      if (known + heldMs < FAMILIAR_WASTE_MS) this.#familiar.set(requester, known + heldMs);
      else this.#familiar.delete(requester);
      return;
    }
    this.#refill(nowMs);
    this.#leftMs = Math.max(-STRANGER_WASTE.longestPauseMs * STRANGER_WASTE.share, this.#leftMs - heldMs);
  }

  #refill(nowMs: number): void {
    const gainedMs = Math.max(0, nowMs - this.#asOfMs) * STRANGER_WASTE.share;
    this.#asOfMs = nowMs;
    this.#leftMs = Math.min(STRANGER_WASTE.atOnceMs, this.#leftMs + gainedMs);
  }
}
