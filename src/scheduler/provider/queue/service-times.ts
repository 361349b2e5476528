import { LRUCache } from 'lru-cache';
import type { ExecutorKind } from '../../../domain/capability.ts';
import type { BlobId, PeerKey } from '../../../domain/ids.ts';
import { MAX_SERVICE_TIMES, SERVICE_GUESS_MS, SERVICE_TIME_SHARE } from '../constants.ts';

export interface ServiceSubject {
  readonly requester: PeerKey;
  readonly kind: ExecutorKind;
  /** Unknown while there is only an offer to be made. */
  readonly module?: BlobId;
  /** No attempt holds its slot much longer than this. */
  readonly wallTimeMs: number;
}

/**
 * How long attempts have held their slots: a moving average for each requester and module, for each requester, and for each
 * kind of work. The most particular one that there is answers.
 */
export class ServiceTimes {
  readonly #averages = new LRUCache<string, number>({ max: MAX_SERVICE_TIMES });

  observe(subject: ServiceSubject, slotMs: number): void {
    for (const key of listKeys(subject)) {
      const before = this.#averages.get(key);
      this.#averages.set(key, before === undefined ? slotMs : before + (slotMs - before) * SERVICE_TIME_SHARE);
    }
  }

  /** Of one attempt, ms. */
  estimate(subject: ServiceSubject): number {
    return Math.min(this.#recall(subject) ?? SERVICE_GUESS_MS, subject.wallTimeMs);
  }

  /** Whether any has ended that this one can be compared with. */
  isMeasured(subject: ServiceSubject): boolean {
    return this.#recall(subject) !== undefined;
  }

  #recall(subject: ServiceSubject): number | undefined {
    for (const key of listKeys(subject)) {
      const known = this.#averages.get(key);
      if (known !== undefined) return known;
    }
    return undefined;
  }
}

/** The most particular first. */
function listKeys({ requester, kind, module }: ServiceSubject): readonly string[] {
  const general = [`${requester}/${kind}`, kind];
  return module === undefined ? general : [`${requester}/${module}`, ...general];
}
