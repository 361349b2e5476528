import type { NetworkDefinition } from '../domain/network-definition.ts';
import { MAX_CONNECTIONS } from './constants.ts';
import type { GroupCaps } from './discovery/routing-table-filter.ts';
import { MAX_CANDIDATES, NEIGHBOUR_SLOTS } from './neighbours/constants.ts';
import type { CandidateSaverOptions, NeighbourOptions } from './neighbours/options.ts';
import type { ReachabilityOptions } from './reachability/options.ts';
import type { LimitOverrides } from './reqresp/protocols.ts';

export interface NetworkOptions {
  /** Separates meshes: part of every protocol id, topic and DHT key. */
  readonly networkId: string;
  readonly preset: NetworkDefinition['preset'];
  /** Multiaddrs to listen on; port 0 takes any. */
  readonly listen: readonly string[];
  /** Multiaddrs to tell others instead of those found. */
  readonly announce: readonly string[];
  /** Multiaddrs of bootstrap peers. */
  readonly bootstrap: readonly string[];
  /** Whether to look for peers on the local network. */
  readonly mdns: boolean;
  /** Key of a private mesh (32 bytes), or null for an open one. */
  readonly preSharedKey: Uint8Array | null;
  /** Life of an own node record, in ms. */
  readonly recordTtlMs: number;
  /** Version string told in node records and by identify. */
  readonly software: string;
  /** Bulk goes over the same connection as all else: for measuring what that costs. */
  readonly sharesConnections?: boolean;
  /** Asks the DHT and answers nobody. */
  readonly dhtClientMode?: boolean;
  readonly maxConnections?: number;
  /** Waits and numbers of the choice of neighbours where they differ from the defaults. */
  readonly neighbours?: Partial<NeighbourOptions & CandidateSaverOptions>;
  /** NAT and relays; the defaults if absent. */
  readonly reachability?: ReachabilityOptions;
  /** Limits of request protocols where they differ from the table. */
  readonly limits?: LimitOverrides;
}

/** What depends on how far the peers of a network are trusted to be many. */
export interface PresetPolicy {
  /** Gossip score of many peers behind one address: on one machine it would empty the mesh. */
  readonly ipColocationWeight: number;
  /** New connections a second from one address before further ones are refused. */
  readonly inboundConnectionsPerSecond: number;
  /** Whether private and loopback addresses are dialled and told in the DHT. */
  readonly privateAddresses: 'use' | 'skip';
  /** Most neighbours that this node chooses of one address group (/24 of IPv4, /48 of IPv6), and most candidates. */
  readonly neighboursPerGroup: number;
  readonly candidatesPerGroup: number;
  /** The same of one autonomous system, where a table says which: of 8 neighbours, and of all candidates. */
  readonly neighboursPerSystem: number;
  readonly candidatesPerSystem: number;
  /** Most known peers of one address group, in the book and over restarts. */
  readonly knownPerGroup: number;
  /** Most peers of one address group in the DHT's routing table, and in one of its buckets of 20. */
  readonly routedPerGroup: GroupCaps;
}

export const PRESETS = {
  local: {
    ipColocationWeight: 0,
    inboundConnectionsPerSecond: 500,
    privateAddresses: 'use',
    neighboursPerGroup: Number.POSITIVE_INFINITY,
    candidatesPerGroup: Number.POSITIVE_INFINITY,
    neighboursPerSystem: Number.POSITIVE_INFINITY,
    candidatesPerSystem: Number.POSITIVE_INFINITY,
    knownPerGroup: Number.POSITIVE_INFINITY,
    routedPerGroup: { perBucket: Number.POSITIVE_INFINITY, perTable: Number.POSITIVE_INFINITY },
  },
  development: {
    ipColocationWeight: -1,
    inboundConnectionsPerSecond: 100,
    privateAddresses: 'use',
    neighboursPerGroup: 4,
    candidatesPerGroup: 1024,
    neighboursPerSystem: Number.POSITIVE_INFINITY,
    candidatesPerSystem: Number.POSITIVE_INFINITY,
    knownPerGroup: 1024,
    routedPerGroup: { perBucket: Number.POSITIVE_INFINITY, perTable: Number.POSITIVE_INFINITY },
  },
  production: {
    ipColocationWeight: -5,
    inboundConnectionsPerSecond: 20,
    privateAddresses: 'skip',
    neighboursPerGroup: 2,
    candidatesPerGroup: 64,
    // Half: a few hosters have most servers, and a network of them alone must still find neighbours.
    neighboursPerSystem: NEIGHBOUR_SLOTS / 2,
    candidatesPerSystem: MAX_CANDIDATES / 2,
    knownPerGroup: 64,
    // A fifth of a bucket, so that four others of five are asked elsewhere.
    routedPerGroup: { perBucket: 4, perTable: 16 },
  },
} as const satisfies Record<NetworkOptions['preset'], PresetPolicy>;

export const DEFAULT_MAX_CONNECTIONS = MAX_CONNECTIONS;
