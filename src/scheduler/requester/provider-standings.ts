import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import { PROVIDERS_REMEMBERED } from '../constants.ts';

interface Standing {
  /** Attempts of ours that it runs now. */
  active: number;
  /** Faults and losses of late; halves with each success. */
  failures: number;
  /** The last attempt of ours that told anything was served. */
  hasServed: boolean;
}

/** What this node has lived through with each provider since it started: only to rank whom to ask first. */
export class ProviderStandings {
  readonly #standings = new LRUCache<PeerKey, Standing>({ max: PROVIDERS_REMEMBERED });

  begin(provider: PeerKey): void {
    this.#update(provider, (standing) => ({ ...standing, active: standing.active + 1 }));
  }

  end(provider: PeerKey, outcome: 'served' | 'failed' | 'neutral'): void {
    this.#update(provider, ({ active, failures, hasServed }) => ({
      active: Math.max(0, active - 1),
      hasServed: outcome === 'neutral' ? hasServed : outcome === 'served',
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

  /** Its last attempt that told anything was served. */
  hasServed(provider: PeerKey): boolean {
    return this.#standings.peek(provider)?.hasServed ?? false;
  }

  /** Those that served when they were last asked to, the latest first. */
  listServed(limit: number): PeerKey[] {
    const served: PeerKey[] = [];
    for (const [provider, { hasServed }] of this.#standings.entries()) {
      if (served.length >= limit) break;
      if (hasServed) served.push(provider);
    }
    return served;
  }

  #update(provider: PeerKey, change: (standing: Standing) => Standing): void {
    this.#standings.set(
      provider,
      change(this.#standings.get(provider) ?? { active: 0, failures: 0, hasServed: false }),
    );
  }
}
