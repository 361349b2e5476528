import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { BAN_PENALTY, MAX_KNOWN_PEERS, PENALTY_HALF_LIFE_MS } from '../constants.ts';

interface Tally {
  readonly penalty: number;
  readonly atMs: number;
}

/** What peers did wrong lately; it halves every few minutes and is forgotten with a restart. */
export class PeerPenalties {
  readonly #clock: Clock;
  readonly #tallies = new LRUCache<string, Tally>({ max: MAX_KNOWN_PEERS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(peer: string, penalty: number): void {
    this.#tallies.set(peer, { penalty: this.penaltyOf(peer) + penalty, atMs: this.#clock.monotonicMs() });
  }

  penaltyOf(peer: string): number {
    const tally = this.#tallies.get(peer);
    if (tally === undefined) return 0;
    return tally.penalty * 2 ** (-(this.#clock.monotonicMs() - tally.atMs) / PENALTY_HALF_LIFE_MS);
  }

  isBanned(peer: string): boolean {
    return this.penaltyOf(peer) >= BAN_PENALTY;
  }
}
