import type { GossipSub } from '@libp2p/gossipsub';
import type { ObservationItem } from '../../domain/observation.ts';
import type { ObservationSource } from '../../reputation/interface.ts';
import { ObservationExchange, type ObservationExchangeModules } from '../discovery/observation-exchange.ts';
import type { ObservationChannel } from '../interface.ts';
import { ObservationGossip, type ObservationGossipModules } from './observation-gossip.ts';

export type ObservationChannelModules = Omit<ObservationGossipModules & ObservationExchangeModules, 'source'>;

/** Observations as they come and go: the topic, and the comparison with peers. */
export class GossipedObservations implements ObservationChannel {
  readonly gossip: ObservationGossip;
  readonly exchange: ObservationExchange;
  #source: ObservationSource | null = null;

  constructor(modules: ObservationChannelModules, options: { readonly networkId: string }) {
    const source = (): ObservationSource | null => this.#source;
    this.gossip = new ObservationGossip({ ...modules, source }, options);
    this.exchange = new ObservationExchange({ ...modules, source });
  }

  publish(items: readonly ObservationItem[]): Promise<{ readonly recipients: number }> {
    return this.gossip.publish(items);
  }

  serve(source: ObservationSource): Disposable {
    this.#source = source;
    this.gossip.update();
    return {
      [Symbol.dispose]: () => {
        if (this.#source !== source) return;
        this.#source = null;
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
