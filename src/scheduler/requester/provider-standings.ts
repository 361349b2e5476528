import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import { PROVIDERS_REMEMBERED } from '../constants.ts';

interface Standing {
  /** Attempts of ours that it runs now. */
  active: number;
  /** Faults and losses of late; halves with each success. */
  failures: number;
  /** Attempts of ours that it served, at most MOST_TRUST; halves with each failure. */
  trust: number;
}

/** Four failures in a row use up whatever was earned: 8, 4, 2, 1, 0. */
const MOST_TRUST = 8;

/** What this node has lived through with each provider since it started: only to rank whom to ask first. */
export class ProviderStandings {
  readonly #standings = new LRUCache<PeerKey, Standing>({ max: PROVIDERS_REMEMBERED });

  begin(provider: PeerKey): void {
    this.#update(provider, (standing) => ({ ...standing, active: standing.active + 1 }));
  }

  end(provider: PeerKey, outcome: 'served' | 'failed' | 'neutral'): void {
    this.#update(provider, ({ active, failures, trust }) => ({
      active: Math.max(0, active - 1),
      trust:
        outcome === 'failed' ? Math.floor(trust / 2) : outcome === 'served' ? Math.min(MOST_TRUST, trust + 1) : trust,
      failures: outcome === 'failed' ? failures + 1 : outcome === 'served' ? failures / 2 : failures,
    }));
  }

  active(provider: PeerKey): number {
    return this.#standings.peek(provider)?.active ?? 0;
  }

  /** Whole failures that still count. */
  failures(provider: PeerKey): number {
    return Math.floor(this.#standings.peek(provider)?.failures ?? 0);
  }

  /**
   * It has served this node, and did not fail it too often since. One failure does not undo many good attempts: who knows
   * few good providers would else be at the mercy of what others say.
   */
  isTrusted(provider: PeerKey): boolean {
    return (this.#standings.peek(provider)?.trust ?? 0) > 0;
  }

  /** Those that are trusted: who failed least of late first, then whose attempt is the latest. */
  listTrusted(limit: number): PeerKey[] {
    const trusted = [...this.#standings.entries()].filter(([, { trust }]) => trust > 0);
    return trusted
      .toSorted(([, a], [, b]) => Math.floor(a.failures) - Math.floor(b.failures))
      .slice(0, limit)
      .map(([provider]) => provider);
  }

  #update(provider: PeerKey, change: (standing: Standing) => Standing): void {
    this.#standings.set(provider, change(this.#standings.get(provider) ?? { active: 0, failures: 0, trust: 0 }));
  }
}
