import type { PeerKey } from '../domain/ids.ts';
import type { SubjectRole } from '../domain/observation.ts';
import { PLACES_FOR_FAILURES } from './constants.ts';

/** Most peers that are observed in one epoch. */
const MAX_PEERS = 4_096;

/**
 * How many observations of each peer this node still makes in an epoch: more would not count. The last places are for
 * failures alone.
 */
export class PromisedPlaces {
  readonly #max: number;
  readonly #used = new Map<string, number>();
  #epoch = -1;

  constructor(options: { readonly max: number }) {
    this.#max = options.max;
  }

  /** Takes a place if there is one. @param counted those of the peer that count in the epoch already */
  take(
    subject: PeerKey,
    role: SubjectRole,
    {
      epoch,
      kind,
      counted,
    }: { readonly epoch: number; readonly kind: 'success' | 'failure'; readonly counted: number },
  ): boolean {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#used.clear();
    }
    const key = `${role}/${subject}`;
    const used = Math.max(counted, this.#used.get(key) ?? 0);
    const places = kind === 'failure' ? this.#max : this.#max - PLACES_FOR_FAILURES;
    if (used >= places || (!this.#used.has(key) && this.#used.size >= MAX_PEERS)) return false;
    this.#used.set(key, used + 1);
    return true;
  }
}
