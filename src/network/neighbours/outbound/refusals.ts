import type { PeerKey } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { NeighbourRefusal } from '../../interface.ts';
import { MAX_REFUSALS } from '../constants.ts';

interface Entry extends NeighbourRefusal {
  readonly notBeforeMs: number;
  readonly attempts: number;
}

/** Who did not become a neighbour in this epoch, and why; of more than the bound the oldest are forgotten. */
export class Refusals {
  readonly #clock: Clock;
  readonly #entries = new Map<PeerKey, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `retryMs`: after that it may be tried again, later each time; null: not in this epoch. */
  add(refusal: NeighbourRefusal, retryMs: number | null): void {
    const attempts = (this.#entries.get(refusal.peer)?.attempts ?? 0) + 1;
    const waitMs = retryMs === null ? Number.POSITIVE_INFINITY : retryMs * 2 ** Math.min(attempts - 1, 6);
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size >= MAX_REFUSALS) this.#entries.delete(oldest);
    this.#entries.delete(refusal.peer);
    this.#entries.set(refusal.peer, { ...refusal, attempts, notBeforeMs: this.#clock.monotonicMs() + waitMs });
  }

  isBarred(peer: PeerKey): boolean {
    const entry = this.#entries.get(peer);
    return entry !== undefined && entry.notBeforeMs > this.#clock.monotonicMs();
  }

  clear(): void {
    this.#entries.clear();
  }

  list(): readonly NeighbourRefusal[] {
    return [...this.#entries.values()].map(({ peer, code, detail }) => ({ peer, code, detail }));
  }
}
