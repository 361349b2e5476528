import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import { PROVIDERS_REMEMBERED } from '../constants.ts';

interface Standing {
  /** Attempts of ours that it runs now. */
  active: number;
  /** Faults and losses of late; halves with each success. */
  failures: number;
}

/** What this node has lived through with each provider since it started: only to rank whom to ask first. */
export class ProviderStandings {
  readonly #standings = new LRUCache<PeerKey, Standing>({ max: PROVIDERS_REMEMBERED });

  begin(provider: PeerKey): void {
    this.#update(provider, (standing) => ({ ...standing, active: standing.active + 1 }));
  }

  end(provider: PeerKey, outcome: 'served' | 'failed' | 'neutral'): void {
    this.#update(provider, ({ active, failures }) => ({
      active: Math.max(0, active - 1),
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

  #update(provider: PeerKey, change: (standing: Standing) => Standing): void {
    this.#standings.set(provider, change(this.#standings.get(provider) ?? { active: 0, failures: 0 }));
  }
}
