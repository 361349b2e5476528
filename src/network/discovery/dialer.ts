import type { Connection, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { PeerKey } from '../../domain/ids.ts';
import { createDeadline } from '../../lib/abort.ts';
import { DIAL_TIMEOUT_MS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { BulkConnections } from '../host/bulk-connections.ts';
import type { Host } from '../host/create-host.ts';
import type { DialPolicy } from '../host/dial-policy.ts';
import type { NetworkMetrics } from '../metrics.ts';
import type { PeerSource } from '../peers/bounded-peer-book.ts';
import { describeReason } from '../reasons.ts';

/** @throws NetworkError NETWORK_BAD_ADDRESS */
export function parseAddress(address: string): Multiaddr {
  try {
    return multiaddr(address);
  } catch (error) {
    throw new NetworkError(
      { code: 'NETWORK_BAD_ADDRESS', address: address.slice(0, 256), reason: describeReason(error) },
      { cause: error },
    );
  }
}

/** The peer that a multiaddr names at its end, if any. */
export function peerOfAddress(address: Multiaddr): PeerKey | null {
  const text = address.getComponents().findLast((component) => component.name === 'p2p')?.value;
  return text === undefined ? null : PeerKey(text);
}

/** The peer at the other end; null if its key is of another kind than ours may be. */
export function peerOfConnection(connection: Connection): PeerKey | null {
  try {
    return PeerKey(connection.remotePeer.toString());
  } catch {
    return null;
  }
}

/** Dials with a deadline, counts, and gives coded errors. */
export class Dialer {
  readonly #host: Host;
  readonly #metrics: NetworkMetrics;
  readonly #policy: DialPolicy;
  readonly #bulk: BulkConnections;
  readonly #signal: AbortSignal;

  constructor(modules: {
    readonly host: Host;
    readonly metrics: NetworkMetrics;
    readonly dialPolicy: DialPolicy;
    readonly bulk: BulkConnections;
    readonly signal: AbortSignal;
  }) {
    this.#host = modules.host;
    this.#metrics = modules.metrics;
    this.#policy = modules.dialPolicy;
    this.#bulk = modules.bulk;
    this.#signal = modules.signal;
  }

  /** @throws NetworkError NETWORK_UNREACHABLE, NETWORK_BAD_ADDRESS */
  async dialAddress(address: string, source: PeerSource, signal?: AbortSignal): Promise<PeerKey> {
    const target = parseAddress(address);
    this.#policy.name(target);
    const connection = await this.#dial(address, source, signal, (options) => this.#host.dial(target, options));
    return PeerKey(connection.remotePeer.toString());
  }

  /** @throws NetworkError NETWORK_UNREACHABLE */
  async dialPeer(peer: PeerKey, addresses: readonly string[], source: PeerSource): Promise<void> {
    const id = peerIdFromString(peer);
    const multiaddrs = addresses.map(parseAddress);
    if (source === 'mdns') for (const address of multiaddrs) this.#policy.name(address);
    await this.#dial(peer, source, undefined, async (options) => {
      if (multiaddrs.length > 0) await this.#host.peerStore.merge(id, { multiaddrs });
      return this.#host.dial(id, options);
    });
  }

  /** Opens a stream, over a new connection if there is none. @throws NetworkError NETWORK_UNREACHABLE */
  async openStream(peer: PeerKey, protocol: string, signal?: AbortSignal): Promise<Stream> {
    using deadline = createDeadline(DIAL_TIMEOUT_MS, signal);
    const options = { signal: deadline.signal, runOnLimitedConnection: true };
    try {
      // libp2p would dial anew beside a relayed connection, and fail where the peer can be reached in no other way.
      const relayed = this.#findRelayed(peer);
      if (relayed !== null) return await relayed.newStream(protocol, options);
      return await this.#host.dialProtocol(peerIdFromString(peer), protocol, options);
    } catch (error) {
      throw unreachable(peer, error);
    }
  }

  /**
   * The same for bulk: over a connection of its own, where there can be one; never through a relay.
   * @throws NetworkError NETWORK_UNREACHABLE, NETWORK_RELAYED_ONLY
   */
  async openBulkStream(peer: PeerKey, protocol: string, signal?: AbortSignal): Promise<Stream> {
    using deadline = createDeadline(DIAL_TIMEOUT_MS, signal);
    try {
      await this.#connectDirectly(peer, deadline.signal);
      const stream = await this.#bulk.openStream(peer, protocol, deadline.signal);
      return stream ?? (await this.openStream(peer, protocol, signal));
    } catch (error) {
      throw error instanceof NetworkError ? error : unreachable(peer, error);
    }
  }

  /** The relayed connection to a peer to which there is no other. */
  #findRelayed(peer: PeerKey): Connection | null {
    const open = this.#host.getConnections(peerIdFromString(peer)).filter(({ status }) => status === 'open');
    const [first] = open;
    return first === undefined || open.some(({ limits }) => limits === undefined) ? null : first;
  }

  async #connectDirectly(peer: PeerKey, signal: AbortSignal): Promise<void> {
    const isRelayed = this.#findRelayed(peer) !== null;
    try {
      const { limits } = await this.#host.dial(peerIdFromString(peer), { signal });
      if (limits === undefined) return;
    } catch (error) {
      if (!isRelayed) throw error;
      throw new NetworkError({ code: 'NETWORK_RELAYED_ONLY', peer, reason: describeReason(error) }, { cause: error });
    }
    throw new NetworkError({ code: 'NETWORK_RELAYED_ONLY', peer, reason: 'it cannot be dialled directly' });
  }

  async #dial(
    target: string,
    source: PeerSource,
    signal: AbortSignal | undefined,
    dial: (options: { signal: AbortSignal }) => Promise<Connection>,
  ): Promise<Connection> {
    using running = createDeadline(DIAL_TIMEOUT_MS, this.#signal);
    using deadline = createDeadline(DIAL_TIMEOUT_MS, signal);
    const onEnd = (): void => stop.abort(running.signal.aborted ? running.signal.reason : deadline.signal.reason);
    const stop = new AbortController();
    running.signal.addEventListener('abort', onEnd, { once: true });
    deadline.signal.addEventListener('abort', onEnd, { once: true });
    if (running.signal.aborted || deadline.signal.aborted) onEnd();
    try {
      const connection = await dial({ signal: stop.signal });
      this.#metrics.dials.increment({ source, outcome: 'connected' });
      return connection;
    } catch (error) {
      signal?.throwIfAborted();
      this.#metrics.dials.increment({ source, outcome: 'refused' });
      throw unreachable(target, error);
    }
  }
}

function unreachable(target: string, cause: unknown): NetworkError {
  return new NetworkError({ code: 'NETWORK_UNREACHABLE', target, reason: describeReason(cause) }, { cause });
}
