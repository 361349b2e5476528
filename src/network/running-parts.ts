import type { PeerId } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { PeerKey } from '../domain/ids.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import { Bootstrap } from './discovery/bootstrap.ts';
import { DhtDirectory } from './discovery/dht-directory.ts';
import { Dialer } from './discovery/dialer.ts';
import { Discovery } from './discovery/discovery.ts';
import type { IdentityWatch } from './discovery/identity-watch.ts';
import { KnownContacts } from './discovery/known-contacts.ts';
import type { RecordExchange } from './discovery/record-exchange.ts';
import { RoutingTableFilter } from './discovery/routing-table-filter.ts';
import { TakerSearch } from './discovery/taker-search.ts';
import type { AnnouncementGossip } from './gossip/announcement-gossip.ts';
import type { GossipedObservations } from './gossip/observation-channel.ts';
import { RecordGossip } from './gossip/record-gossip.ts';
import { BulkConnections } from './host/bulk-connections.ts';
import type { Host } from './host/create-host.ts';
import type { DialPolicy } from './host/dial-policy.ts';
import type { NetworkStatus } from './interface.ts';
import type { NetworkMetrics } from './metrics.ts';
import { DEFAULT_MAX_CONNECTIONS, type NetworkOptions, PRESETS } from './options.ts';
import type { BoundedPeerBook } from './peers/bounded-peer-book.ts';
import { KnownPeers } from './peers/known-peers.ts';
import type { PeerPenalties } from './peers/peer-penalties.ts';
import type { RecordIntake } from './peers/record-intake.ts';
import { ReachabilityWatch } from './reachability/reachability-watch.ts';
import { NOT_REACHED } from './reachability/verdict.ts';
import { protocolId } from './reqresp/protocols.ts';
import type { StreamOpener } from './reqresp/request-transport.ts';

/** What outlives a start and a stop. */
export interface LastingParts {
  readonly self: PeerKey;
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: NetworkMetrics;
  readonly book: BoundedPeerBook;
  readonly penalties: PeerPenalties;
  readonly watch: IdentityWatch;
  readonly intake: RecordIntake;
  readonly exchange: RecordExchange;
  readonly announcements: AnnouncementGossip;
  readonly observations: GossipedObservations;
  readonly background: BackgroundTasks;
  readonly dialPolicy: DialPolicy;
  /** What is told of this node's addresses is another than before. */
  readonly onAddresses: () => void;
  /** The DHT has a peer more. */
  readonly onContact: () => void;
  /** Penalties were added: it is disconnected if they are too many. */
  readonly onPenalty: (peer: PeerKey) => void;
}

/** Peers in the mesh of each topic that is listened to. */
export function describeMeshes({ gossip, announcements, observations }: RunningParts): NetworkStatus['gossip'] {
  return {
    records: { meshPeers: gossip.meshPeers },
    observations: { meshPeers: observations.gossip.meshPeers },
    ...announcements.meshPeers,
  };
}

export function describeReach(running: RunningParts | null): Pick<NetworkStatus, 'listen' | 'reachability'> {
  if (running === null) return { listen: [], reachability: NOT_REACHED };
  const { host, reachability } = running;
  return { listen: host.services.reach.boundMultiaddrs().map(String), reachability: reachability.status() };
}

/** What exists only between start and stop. */
export interface RunningParts {
  readonly host: Host;
  readonly controller: AbortController;
  readonly dialer: Dialer;
  readonly bulk: BulkConnections;
  readonly directory: DhtDirectory;
  readonly contacts: KnownContacts;
  readonly bootstrap: Bootstrap;
  readonly discovery: Discovery;
  readonly gossip: RecordGossip;
  readonly announcements: AnnouncementGossip;
  readonly observations: GossipedObservations;
  readonly takers: TakerSearch;
  readonly reachability: ReachabilityWatch;
}

/** Blobs go over a connection of their own. */
export function createOpener(
  running: () => Pick<RunningParts, 'dialer'>,
  { networkId, sharesConnections }: Pick<NetworkOptions, 'networkId' | 'sharesConnections'>,
): StreamOpener['openStream'] {
  return (peer, protocol, { signal }) => {
    const { dialer } = running();
    const id = protocolId(networkId, protocol);
    const isBulk = protocol === 'blob' && sharesConnections !== true;
    return isBulk ? dialer.openBulkStream(peer, id, signal) : dialer.openStream(peer, id, signal);
  };
}

/** Builds the parts around a started host; nothing is begun. */
export function createRunningParts(host: Host, lasting: LastingParts, options: NetworkOptions): RunningParts {
  const controller = new AbortController();
  const { signal } = controller;
  const { book, clock, database, metrics, logger, random, self, watch, dialPolicy } = lasting;
  const bulk = new BulkConnections({ host, clock, logger });
  const dialer = new Dialer({ host, metrics, dialPolicy, bulk, signal });
  const directory = new DhtDirectory({ dht: host.services.dht, logger, signal });
  const bootstrap = new Bootstrap(
    {
      dialer,
      clock,
      random,
      logger,
      isConnected: (peer) => book.isConnected(peer),
      onConnected: (peer, address) => book.noteSeen(peer, 'bootstrap', [address]),
      onOwnIdentity: (address) => watch.noteAddresses([address]),
    },
    { self, addresses: options.bootstrap },
  );
  const known = new KnownPeers({ database, clock }, { maxPerGroup: PRESETS[options.preset].knownPerGroup });
  const discovery = new Discovery(
    { ...lasting, known, bootstrap, dialer, directory, signal },
    {
      self,
      recordsProtocol: protocolId(options.networkId, 'records'),
      maxConnections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    },
  );
  const gossip = new RecordGossip({ ...lasting, pubsub: host.services.pubsub }, { networkId: options.networkId });
  const takers = new TakerSearch(
    { pubsub: host.services.pubsub, directory, discovery, clock, logger, signal },
    { networkId: options.networkId },
  );
  const contacts = filterRoutes(host, lasting, options);
  const reachability = new ReachabilityWatch(
    {
      ...lasting,
      host,
      signal,
      dial: (address) => dialer.dialAddress(address, 'manual'),
      reach: (info) => discovery.reach(info),
    },
    options,
  );
  return {
    host,
    controller,
    dialer,
    bulk,
    directory,
    contacts,
    bootstrap,
    discovery,
    gossip,
    announcements: lasting.announcements,
    observations: lasting.observations,
    takers,
    reachability,
  };
}

/** Who gets into the routing table, and what the DHT need not learn again. */
function filterRoutes(host: Host, lasting: LastingParts, { preset }: NetworkOptions): KnownContacts {
  const { dht } = host.services;
  const addressesOf = async (peer: PeerId): Promise<readonly Multiaddr[]> => {
    const observed = host.getConnections(peer).map(({ remoteAddr }) => remoteAddr);
    return observed.length > 0 ? observed : (await host.peerStore.get(peer)).addresses.map((told) => told.multiaddr);
  };
  const onRefused = (): void => lasting.metrics.routesRefused.increment();
  new RoutingTableFilter({ dht, addressesOf, onRefused }, PRESETS[preset].routedPerGroup).attach();
  const isConnected = (peer: PeerId): boolean => host.getConnections(peer).length > 0;
  const contacts = new KnownContacts({ dht, self: host.peerId, isConnected, onContact: lasting.onContact });
  contacts.attach();
  return contacts;
}
