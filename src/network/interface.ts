/**
 * network owns the libp2p host, discovery, the kept request streams, gossip, and the book of peers and node records.
 * It does not own what requests mean (scheduler, blob answer through handlers) nor who is trusted (reputation, later).
 * Parts: host · reqresp/ (one kept stream per peer and protocol, request ids) · discovery/ (bootstrap, mDNS, DHT,
 * remembered peers) · gossip/ (topics, validators) · peers/ (records, connection book).
 */

import type { Announcement } from '../domain/announcement.ts';
import type { CapabilityClass } from '../domain/capability.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import type {
  BlobRequest,
  BlobResponse,
  JobRequest,
  JobResponse,
  OfferRequest,
  OfferResponse,
  RecordsRequest,
  RecordsResponse,
} from '../domain/messages.ts';
import type { NodeRecord } from '../domain/node-record.ts';
import type { Signed } from '../domain/signed.ts';
import type { AbortOptions } from '../lib/abort.ts';

/** Request and response of each request protocol; limits stand in reqresp/protocols.ts. */
export interface ProtocolMessages {
  readonly offer: { readonly request: OfferRequest; readonly response: OfferResponse };
  readonly job: { readonly request: JobRequest; readonly response: JobResponse };
  readonly blob: { readonly request: BlobRequest; readonly response: BlobResponse };
  readonly records: { readonly request: RecordsRequest; readonly response: RecordsResponse };
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
}

export interface PeerBook {
  list(): readonly PeerInfo[];
  get(peer: PeerKey): PeerInfo | undefined;
  /** Valid, unexpired records of others that provide; connected peers first. */
  providers(): readonly Signed<NodeRecord>[];
  /** Called on every change of the book; dispose to stop. */
  onChange(listener: () => void): Disposable;
}

export interface BootstrapReport {
  readonly address: string;
  readonly outcome: 'connected' | 'refused';
  readonly reason: string | null;
}

export interface NetworkStatus {
  readonly listen: readonly string[];
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

export interface Network extends PeerTransport, AsyncDisposable {
  readonly peers: PeerBook;
  readonly announcements: JobAnnouncements;
  readonly content: ContentRouting;
  start(options: AbortOptions): Promise<void>;
  /** Dials a peer by multiaddr. @throws NetworkError NETWORK_UNREACHABLE */
  connect(address: string, options?: AbortOptions): Promise<PeerKey>;
  /** Publishes a new own record (sequence raised) to the DHT and by gossip. */
  updateRecord(content: NodeRecordContent): Promise<void>;
  status(): NetworkStatus;
  /** Resolves with the addresses seen when another daemon runs under this identity. */
  readonly duplicateIdentityDetected: Promise<readonly string[]>;
}
