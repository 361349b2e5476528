/**
 * network owns the libp2p host, discovery, the kept request streams, gossip, and the book of peers and node records.
 * It does not own what requests mean (scheduler, blob answer through handlers) nor who is trusted (reputation, later).
 * Parts: host · reqresp/ (one kept stream per peer and protocol, request ids) · discovery/ (bootstrap, mDNS, DHT,
 * remembered peers) · gossip/ (topics, validators) · peers/ (records, connection book) · neighbours/ (who is chosen by
 * VRF for an epoch; free of libp2p, so that the simulator runs the same classes).
 */

import type { Announcement } from '../domain/announcement.ts';
import type { CapabilityClass } from '../domain/capability.ts';
import type { AttestRequest, AttestResponse } from '../domain/confidential.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import type {
  BlobRequest,
  BlobResponse,
  ClaimRefusal,
  JobRequest,
  JobResponse,
  NeighbourRequest,
  NeighbourResponse,
  OfferRequest,
  OfferResponse,
  RecordsRequest,
  RecordsResponse,
} from '../domain/messages.ts';
import type { NodeRecord } from '../domain/node-record.ts';
import type { Signed } from '../domain/signed.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { ObservationPublisher, ObservationSource } from '../reputation/interface.ts';

/** Request and response of each request protocol; limits stand in reqresp/protocols.ts. */
export interface ProtocolMessages {
  readonly offer: { readonly request: OfferRequest; readonly response: OfferResponse };
  readonly job: { readonly request: JobRequest; readonly response: JobResponse };
  readonly blob: { readonly request: BlobRequest; readonly response: BlobResponse };
  readonly records: { readonly request: RecordsRequest; readonly response: RecordsResponse };
  readonly attest: { readonly request: AttestRequest; readonly response: AttestResponse };
  readonly neighbour: { readonly request: NeighbourRequest; readonly response: NeighbourResponse };
}
export type ProtocolName = keyof ProtocolMessages;

export interface HandlerContext {
  /** Authenticated by the connection. */
  readonly peer: PeerKey;
  /** Aborts when the requester cancels or the stream goes. */
  readonly signal: AbortSignal;
}

/** Answers a request with one or more responses. What it throws reaches the other side as a code, never as a stack. */
export type RequestHandler<Name extends ProtocolName> = (
  request: ProtocolMessages[Name]['request'],
  context: HandlerContext,
) => AsyncIterable<ProtocolMessages[Name]['response']>;

export interface RequestOptions extends AbortOptions {
  /** Ends the wait for the (first) response; the protocol's own deadline if absent. */
  readonly timeoutMs?: number;
}

/** Typed request and response over kept streams. */
export interface PeerTransport {
  handle<Name extends ProtocolName>(protocol: Name, handler: RequestHandler<Name>): Disposable;
  /** One request, one response. @throws NetworkError NETWORK_UNREACHABLE, NETWORK_TIMEOUT, NETWORK_REMOTE_ERROR, … */
  request<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options?: RequestOptions,
  ): Promise<ProtocolMessages[Name]['response']>;
  /** One request, many responses; leaving the loop cancels it at the other side. Backpressure is kept. */
  stream<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options?: RequestOptions,
  ): AsyncIterable<ProtocolMessages[Name]['response']>;
}

/** Announcements of jobs, over gossip: a topic for each capability class. */
export interface JobAnnouncements {
  /** Publishes one on the topic of its class. Gives how many peers it was sent to. @throws NetworkError */
  announce(announcement: Signed<Announcement>): Promise<{ readonly recipients: number }>;
  /**
   * Subscribes to these classes' topics and calls for each valid announcement of another node, once. Dispose to leave the
   * topics; a node that takes no jobs passes none on.
   */
  listen(classes: readonly CapabilityClass[], onAnnouncement: (announcement: Signed<Announcement>) => void): Disposable;
}

/** Observations of finished attempts: over gossip, and by comparing with peers what each of them has. */
export interface ObservationChannel extends ObservationPublisher {
  /** From now on what comes in is judged by `source`, and others are answered from it; one at a time. Dispose to stop. */
  serve(source: ObservationSource): Disposable;
}

/** Who has a public blob, by provider records in the DHT. */
export interface ContentRouting {
  /** Says that this node has it, now and again before the record expires, until disposed. */
  provide(blob: BlobId): Disposable;
  /** Peers that say so, as they are found; ends with the search or the signal. Never this node. */
  findProviders(blob: BlobId, options: AbortOptions & { readonly limit: number }): AsyncIterable<PeerKey>;
}

export interface PeerInfo {
  readonly peer: PeerKey;
  readonly isConnected: boolean;
  readonly direction: 'inbound' | 'outbound' | null;
  readonly addresses: readonly string[];
  readonly encryption: string | null;
  readonly latencyMs: number | null;
  /** Where it was first heard of. */
  readonly source: 'bootstrap' | 'mdns' | 'dht' | 'gossip' | 'remembered' | 'inbound' | 'manual';
  readonly record: Signed<NodeRecord> | null;
  readonly neighbour: NeighbourDirection | 'both' | null;
}

export interface PeerBook {
  list(): readonly PeerInfo[];
  get(peer: PeerKey): PeerInfo | undefined;
  /** Valid, unexpired records of others that provide; connected peers first. */
  providers(): readonly Signed<NodeRecord>[];
  /** Called on every change of the book; dispose to stop. */
  onChange(listener: () => void): Disposable;
}

/** `outbound`: this node's VRF chose the peer. `inbound`: the peer's chose this node. */
export type NeighbourDirection = 'outbound' | 'inbound';

/** Why a slot was filled: at the turn of an epoch, for one that was lost, or before ages were known. */
export type NeighbourReason = 'ranked' | 'healing' | 'genesis';

export interface NeighbourView {
  readonly peer: PeerKey;
  readonly direction: NeighbourDirection;
  /** The epoch whose VRF output chose it, and the first in which the slot is over. */
  readonly epoch: number;
  readonly endsAtEpoch: number;
  /** Lower-case hex, 32 bytes. */
  readonly rank: string;
  /** The rank as a share of the highest that is accepted, by this node's estimate of the network's size. */
  readonly shareOfBound: number;
  readonly sinceMs: number;
  readonly why: NeighbourReason;
  readonly isConnected: boolean;
  /** What it may have in common with others, such as `address 203.0.113.0/24`. */
  readonly groups: readonly string[];
}

/** Why a candidate with a low rank is no neighbour. */
export interface NeighbourRefusal {
  readonly peer: PeerKey;
  readonly code: ClaimRefusal | 'unreachable' | 'unknown-to-others' | 'crowded' | 'left' | 'expired';
  readonly detail: string;
}

export interface NeighbourStatus {
  /** By the clock of this machine. */
  readonly epoch: number;
  /** The epoch of the choice that stands; null before the first. */
  readonly chosenAtEpoch: number | null;
  /** Why it is not the current one; null if it is. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  /** k, and how many of them are filled. */
  readonly slots: number;
  readonly outbound: number;
  readonly inboundSlots: number;
  readonly inbound: number;
  /** This node has not watched for two epochs yet: it takes whom it knows. */
  readonly isGenesis: boolean;
  /** Anybody could compute the beacon's value beforehand; null before the first choice. */
  readonly isPredictable: boolean | null;
  readonly networkSize: number;
  readonly candidates: { readonly known: number; readonly eligible: number };
  readonly neighbours: readonly NeighbourView[];
  /** Of this epoch. */
  readonly refusals: readonly NeighbourRefusal[];
}

export const NEIGHBOUR_CHECKS = ['epoch', 'beacon', 'record', 'key', 'proof', 'rank', 'age', 'bound'] as const;
export type NeighbourCheckName = (typeof NEIGHBOUR_CHECKS)[number];

export interface NeighbourCheckStep {
  readonly name: NeighbourCheckName;
  readonly verdict: 'passed' | 'failed' | 'unchecked';
  readonly detail: string;
}

/** A slot checked again: an inbound one by the proof that the peer showed, an outbound one by the own. */
export interface NeighbourCheck {
  readonly peer: PeerKey;
  /** Null: it is no neighbour, and nothing was checked. */
  readonly direction: NeighbourDirection | null;
  readonly isValid: boolean;
  readonly steps: readonly NeighbourCheckStep[];
}

/** Peers chosen by VRF for an epoch: kept connected, first to hear and to be asked (design section 5). */
export interface Neighbours {
  status(): NeighbourStatus;
  /** Checks each slot that the peer has, again. */
  verify(peer: PeerKey, options: AbortOptions): Promise<readonly NeighbourCheck[]>;
  isNeighbour(peer: PeerKey): NeighbourDirection | 'both' | null;
  /** Called when somebody becomes or ceases to be a neighbour; dispose to stop. */
  onChange(listener: () => void): Disposable;
}

export interface BootstrapReport {
  readonly address: string;
  readonly outcome: 'connected' | 'refused';
  readonly reason: string | null;
}

/** Whether peers outside can connect to this node, as far as it has found out. */
export interface Reachability {
  readonly kind: 'public' | 'private' | 'unknown';
  /** Why it is taken for that, in words. */
  readonly reason: string;
  /** Peers at which it holds a place: through them it is reached where it is not directly. */
  readonly relays: readonly string[];
  /** Places taken here by others, and how many there are; null while this node relays nothing. */
  readonly relaying: { readonly taken: number; readonly of: number } | null;
}

export interface NetworkStatus {
  readonly listen: readonly string[];
  readonly reachability: Reachability;
  readonly connections: number;
  /** True if no bootstrap peer answered although some are configured. */
  readonly isDegraded: boolean;
  readonly bootstrap: readonly BootstrapReport[];
  readonly gossip: Readonly<Record<string, { readonly meshPeers: number }>>;
  readonly dhtPeers: number;
  /** Set when another daemon with the same identity was seen; the node then stops. */
  readonly duplicateIdentity: { readonly addresses: readonly string[] } | null;
}

/** The claims of the own record that may change while running; the network adds addresses, sequence and times. */
export type NodeRecordContent = Pick<NodeRecord, 'role' | 'claims' | 'capabilities' | 'executors' | 'pricesPerHour'>;

export interface NetworkStartOptions extends AbortOptions {
  /**
   * Peers are dialled once this has resolved, at once if it is absent. Handshakes with those of before take more processor
   * time than all else of a start.
   */
  readonly dialAfter?: Promise<void>;
}

export interface Network extends PeerTransport, AsyncDisposable {
  readonly peers: PeerBook;
  readonly announcements: JobAnnouncements;
  readonly observations: ObservationChannel;
  readonly content: ContentRouting;
  readonly neighbours: Neighbours;
  start(options: NetworkStartOptions): Promise<void>;
  /** Dials a peer by multiaddr. @throws NetworkError NETWORK_UNREACHABLE */
  connect(address: string, options?: AbortOptions): Promise<PeerKey>;
  /** Publishes a new own record (sequence raised) to the DHT and by gossip. */
  updateRecord(content: NodeRecordContent): Promise<void>;
  status(): NetworkStatus;
  /** Resolves with the addresses seen when another daemon runs under this identity. */
  readonly duplicateIdentityDetected: Promise<readonly string[]>;
}
