import type { PeerKey } from '../../domain/ids.ts';
import type { PeerBook, PeerInfo } from '../../network/interface.ts';
import { ProviderStandings } from '../../scheduler/requester/provider-standings.ts';
import type { NetworkModel } from '../model/network-model.ts';
import type { Provider } from './create-provider.ts';

/** One honest requester: its own experience, its neighbours of the epoch, and the book of peers as it sees it. */
export class Requester implements Pick<PeerBook, 'providers' | 'get'> {
  readonly standings = new ProviderStandings();
  readonly self: Provider;
  readonly #network: NetworkModel;
  readonly #infos = new Map<PeerKey, PeerInfo>();
  #records: readonly Provider['record'][] = [];

  constructor(self: Provider, network: NetworkModel) {
    this.self = self;
    this.#network = network;
  }

  /** A new epoch: whom it knows, and which of them are its neighbours. */
  meet(known: readonly Provider[], neighbours: ReadonlySet<PeerKey>): void {
    this.#infos.clear();
    this.#records = known.map(({ record }) => record);
    for (const { peer, number, record } of known) {
      const isNeighbour = neighbours.has(peer);
      this.#infos.set(peer, {
        peer,
        isConnected: isNeighbour,
        direction: isNeighbour ? 'outbound' : null,
        addresses: [],
        encryption: null,
        latencyMs: isNeighbour ? this.#network.roundTripMs(this.self.number, number) : null,
        source: 'gossip',
        record,
        neighbour: isNeighbour ? 'outbound' : null,
      });
    }
  }

  providers(): readonly Provider['record'][] {
    return this.#records;
  }

  get(peer: PeerKey): PeerInfo | undefined {
    return this.#infos.get(peer);
  }
}
