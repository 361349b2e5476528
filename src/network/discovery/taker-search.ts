import type { GossipSub } from '@libp2p/gossipsub';
import { LRUCache } from 'lru-cache';
import type { CapabilityClass } from '../../domain/capability.ts';
import { createDeadline, raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { SUBSCRIPTION_WAIT_MS, TAKER_SEARCH_INTERVAL_MS, TAKER_SEARCH_MS, TAKERS_SOUGHT } from '../constants.ts';
import { jobTopic, topicId } from '../gossip/topics.ts';
import type { CapabilityName, DhtDirectory } from './dht-directory.ts';
import type { Discovery } from './discovery.ts';

/** Capabilities whose searches are remembered. */
const MAX_SOUGHT = 256;

export interface TakerSearchModules {
  readonly pubsub: GossipSub;
  readonly directory: DhtDirectory;
  readonly discovery: Pick<Discovery, 'reach'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the network stops. */
  readonly signal: AbortSignal;
}

/**
 * Way into the topic of a class: only those who take its jobs pass announcements on (design section 4), so a requester
 * that is connected to none of them looks for some in the DHT. One search a class at a time, and not again soon.
 */
export class TakerSearch {
  readonly #modules: TakerSearchModules;
  readonly #options: { readonly networkId: string };
  readonly #underWay = new Map<CapabilityClass, Promise<void>>();
  readonly #notBeforeMs = new LRUCache<CapabilityName, number>({ max: MAX_SOUGHT });

  constructor(modules: TakerSearchModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#options = options;
  }

  /**
   * Resolves once one of them is subscribed, or after a few seconds. Never rejects.
   * @param models of GPUs: those are looked for that lend one of them; none: whoever is of the class
   */
  async seek(capabilityClass: CapabilityClass, models: readonly string[] = []): Promise<void> {
    const { clock, logger } = this.#modules;
    const searching = this.#underWay.get(capabilityClass);
    if (searching !== undefined) return await searching;
    const names: readonly CapabilityName[] =
      models.length === 0 ? [capabilityClass] : models.map((model) => `gpu:${model}` as const);
    const isDue = (name: CapabilityName): boolean => clock.monotonicMs() >= (this.#notBeforeMs.get(name) ?? 0);
    const due = names.filter(isDue);
    if (due.length === 0) return;
    const search = this.#search(capabilityClass, due)
      .catch((error: unknown) => {
        logger.debug({ capabilityClass, reason: describeError(error) }, 'nobody was reached who takes such jobs');
      })
      .finally(() => {
        this.#underWay.delete(capabilityClass);
        for (const name of due) this.#notBeforeMs.set(name, clock.monotonicMs() + TAKER_SEARCH_INTERVAL_MS);
      });
    this.#underWay.set(capabilityClass, search);
    await search;
  }

  async #search(capabilityClass: CapabilityClass, names: readonly CapabilityName[]): Promise<void> {
    const { directory, discovery, signal } = this.#modules;
    using subscribed = this.#watch(topicId(this.#options.networkId, jobTopic(capabilityClass)));
    using deadline = createDeadline(TAKER_SEARCH_MS, signal);
    // One more than is wanted: this node may be among them.
    const limit = TAKERS_SOUGHT + 1;
    const byName = await Promise.all(
      names.map((name) => directory.findProviders(name, { limit, signal: deadline.signal })),
    );
    const found = byName.flat();
    const reached = await Promise.all(found.slice(0, limit).map((info) => discovery.reach(info)));
    if (!reached.includes(true)) return;
    using patience = createDeadline(SUBSCRIPTION_WAIT_MS, signal);
    await raceSignal(subscribed.promise, patience.signal);
  }

  #watch(topic: string): Disposable & { readonly promise: Promise<void> } {
    const { pubsub } = this.#modules;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (pubsub.getSubscribers(topic).length > 0) resolve();
    };
    pubsub.addEventListener('subscription-change', look);
    look();
    return { promise, [Symbol.dispose]: () => pubsub.removeEventListener('subscription-change', look) };
  }
}
