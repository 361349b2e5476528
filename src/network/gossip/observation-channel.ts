import type { GossipSub } from '@libp2p/gossipsub';
import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import type { ObservationItem } from '../../domain/observation.ts';
import type { ObservationSource } from '../../reputation/interface.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import { ObservationExchange, type ObservationExchangeModules } from '../discovery/observation-exchange.ts';
import type { ObservationChannel } from '../interface.ts';
import { ObservationGossip, type ObservationGossipModules } from './observation-gossip.ts';

export type ObservationChannelModules = Omit<ObservationGossipModules & ObservationExchangeModules, 'source'>;

/** How long a reputation is taken as it was, ms: it changes by days, and is asked for on every heartbeat. */
const REPUTATION_AGE_MS = 60_000;

/** Observations as they come and go: the topic, and the comparison with peers. */
export class GossipedObservations implements ObservationChannel {
  readonly gossip: ObservationGossip;
  readonly exchange: ObservationExchange;
  readonly #modules: ObservationChannelModules;
  readonly #reputations = new LRUCache<string, { readonly lowerBound: number; readonly atMs: number }>({
    max: MAX_KNOWN_PEERS,
  });
  #source: ObservationSource | null = null;

  constructor(modules: ObservationChannelModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    const source = (): ObservationSource | null => this.#source;
    this.gossip = new ObservationGossip({ ...modules, source }, options);
    this.exchange = new ObservationExchange({ ...modules, source });
  }

  publish(items: readonly ObservationItem[]): Promise<{ readonly recipients: number }> {
    return this.gossip.publish(items);
  }

  /** What is surely good about a peer, 0 to 1; 0 while nobody keeps observations. */
  reputationOf(peer: string): number {
    const nowMs = this.#modules.clock.monotonicMs();
    const known = this.#reputations.get(peer);
    if (known !== undefined && nowMs - known.atMs < REPUTATION_AGE_MS) return known.lowerBound;
    // A string that is no PeerKey is nobody's.
    const lowerBound = this.#source?.scoreOf?.(peer as PeerKey).lowerBound ?? 0;
    this.#reputations.set(peer, { lowerBound, atMs: nowMs });
    return lowerBound;
  }

  serve(source: ObservationSource): Disposable {
    this.#source = source;
    this.#reputations.clear();
    this.gossip.update();
    return {
      [Symbol.dispose]: () => {
        if (this.#source !== source) return;
        this.#source = null;
        this.#reputations.clear();
        this.gossip.update();
      },
    };
  }

  /** The network runs. */
  attach(pubsub: GossipSub, signal: AbortSignal): void {
    this.gossip.attach(pubsub);
    this.exchange.start(signal);
  }

  async detach(): Promise<void> {
    this.gossip.detach();
    await this.exchange.stop();
  }
}
