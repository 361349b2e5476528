import type { CircuitRelayTransportComponents, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import type { Connection, PeerId, Stream, Transport } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { PeerKey } from '../../domain/ids.ts';
import { hostOf, isRelayed } from './address-scope.ts';
import { ADDRESSES_PER_RELAY, MAX_STOP_STREAMS, RESERVATION_DEADLINE_MS } from './constants.ts';

/** What the class of @libp2p/circuit-relay-v2's transport has beyond its interface. */
interface RelayTransport extends Transport {
  onStop: (stream: Stream, connection: Connection) => Promise<void>;
  readonly reservationStore: {
    readonly reservations: { keys(): Iterable<PeerId> };
    hasReservation(peer: PeerId): boolean;
    addRelay(peer: PeerId, type: 'configured'): Promise<unknown>;
  };
}

interface Parts {
  readonly transport: RelayTransport;
  readonly components: CircuitRelayTransportComponents;
}

/** No relay is looked for by the transport itself: it would walk the DHT for as long as it finds none. */
const NO_DISCOVERY = { has: () => true, add: () => undefined, remove: () => undefined };

/** This node's places at relays (circuit relay v2, libp2p specification `relay/circuit-v2.md`). */
export class RelayPlaces {
  readonly #createTransport: typeof circuitRelayTransport;
  #parts: Parts | null = null;
  /** Those with a listener: the transport cannot close one without giving up every place. */
  readonly #listening = new Set<PeerKey>();

  private constructor(createTransport: typeof circuitRelayTransport) {
    this.#createTransport = createTransport;
  }

  static async load(): Promise<RelayPlaces> {
    const library = await import('@libp2p/circuit-relay-v2');
    return new RelayPlaces(library.circuitRelayTransport);
  }

  /** For the host's list of transports. */
  readonly create = (components: CircuitRelayTransportComponents): Transport => {
    const created = this.#createTransport({
      discoveryFilter: NO_DISCOVERY,
      reservationCompletionTimeout: RESERVATION_DEADLINE_MS,
      maxInboundStopStreams: MAX_STOP_STREAMS,
      maxOutboundStopStreams: MAX_STOP_STREAMS,
    })(components);
    const transport = created as RelayTransport;
    this.#parts = { transport, components };
    const onStop = transport.onStop.bind(transport);
    // The transport would take a place at anybody who says that he relays a connection, and tell his addresses to all.
    transport.onStop = async (stream, connection) => {
      if (transport.reservationStore.hasReservation(connection.remotePeer)) await onStop(stream, connection);
      else stream.abort(new TypeError('this node has no place at that relay'));
    };
    return transport;
  };

  /** Relays at which this node has a place now. */
  list(): readonly string[] {
    return [...(this.#parts?.transport.reservationStore.reservations.keys() ?? [])].map(String);
  }

  /** Takes a place at a connected relay, or renews it. Rejects if it is refused. */
  async take(relay: PeerKey): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    if (this.#listening.has(relay)) {
      await parts.transport.reservationStore.addRelay(peerIdFromString(relay), 'configured');
      return;
    }
    await parts.components.transportManager.listen([multiaddr(`/p2p/${relay}/p2p-circuit`)]);
    this.#listening.add(relay);
  }

  /**
   * The own addresses, those through relays judged. A relay says which its addresses are: only those at the host to which
   * this node is connected are believed, or it could make strangers dial anybody. Beside them stands the address at which
   * this node reached the relay.
   */
  filter(addresses: readonly Multiaddr[]): Multiaddr[] {
    const direct = addresses.filter((address) => !isRelayed(address));
    return [...direct, ...this.list().flatMap((relay) => this.#addressesThrough(relay, addresses))];
  }

  #addressesThrough(relay: string, told: readonly Multiaddr[]): readonly Multiaddr[] {
    if (this.#parts === null) return [];
    const { connectionManager, peerId } = this.#parts.components;
    const connections = connectionManager.getConnections(peerIdFromString(relay));
    const hosts = new Set(connections.map(({ remoteAddr }) => hostOf(remoteAddr)));
    const suffix = `/p2p/${relay}/p2p-circuit/p2p/${peerId.toString()}`;
    const reached = connections
      .filter(({ direction, limits }) => direction === 'outbound' && limits === undefined)
      .map(({ remoteAddr }) => `${remoteAddr.toString().replace(/\/p2p\/[^/]+$/, '')}${suffix}`);
    const believed = told
      .map(String)
      .filter((address) => address.endsWith(suffix) && hosts.has(hostOf(multiaddr(address))));
    return [...new Set([...reached, ...believed])].slice(0, ADDRESSES_PER_RELAY).map((address) => multiaddr(address));
  }
}
