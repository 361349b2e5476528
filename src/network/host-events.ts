import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import type { PeerKey } from '../domain/ids.ts';
import type { NodeRecord } from '../domain/node-record.ts';
import type { Signed } from '../domain/signed.ts';
import { describeError } from '../lib/errors.ts';
import type { Logger } from '../telemetry/interface.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import { peerOfConnection } from './discovery/dialer.ts';
import { NetworkError } from './errors.ts';
import type { ProtocolName } from './interface.ts';
import type { NetworkMetrics } from './metrics.ts';
import type { BoundedPeerBook } from './peers/bounded-peer-book.ts';
import type { PeerPenalties } from './peers/peer-penalties.ts';
import { VIOLATIONS, type Violation } from './reqresp/protocols.ts';
import type { RunningParts } from './running-parts.ts';

export interface HostEventsModules {
  readonly book: BoundedPeerBook;
  readonly penalties: PeerPenalties;
  readonly background: BackgroundTasks;
  readonly metrics: NetworkMetrics;
  readonly logger: Logger;
  readonly running: () => RunningParts | null;
  /** A connection to a peer was made, or the last one is gone. */
  readonly onConnection: (peer: PeerKey, isConnected: boolean) => void;
}

/** What happens at the host, entered in the book of peers; what peers did wrong, and its consequence. */
export class HostEvents {
  readonly #modules: HostEventsModules;

  constructor(modules: HostEventsModules) {
    this.#modules = modules;
  }

  listen(running: RunningParts): void {
    const { host } = running;
    host.addEventListener('connection:open', ({ detail }) => this.#noteConnection(detail));
    host.addEventListener('connection:close', ({ detail }) => this.#noteDisconnection(running, detail));
    host.addEventListener('peer:identify', ({ detail }) => {
      if (this.#modules.running() !== running || running.discovery.noteIdentified(detail)) return;
      this.#modules.logger.debug({ peer: detail.peerId.toString() }, 'a peer of another network is disconnected');
      detail.connection.abort(new NetworkError({ code: 'NETWORK_NOT_RUNNING' }));
    });
  }

  /** An accepted record tells where its peer can be reached. */
  noteRecord(record: Signed<NodeRecord>): void {
    const host = this.#modules.running()?.host;
    if (host === undefined || record.value.addresses.length === 0) return;
    const multiaddrs = record.value.addresses.map((address) => multiaddr(address));
    this.#modules.background.run(async () => {
      await host.peerStore.merge(peerIdFromString(record.value.peer), { multiaddrs });
    });
  }

  noteViolation(peer: PeerKey, protocol: ProtocolName, violation: Violation): void {
    const { metrics, logger, penalties } = this.#modules;
    metrics.violations.increment({ protocol, violation });
    logger.debug({ peer, protocol, violation }, 'a peer broke the rules of a protocol');
    penalties.add(peer, VIOLATIONS[violation].penalty);
    this.banIfDue(peer);
  }

  /** Disconnects a peer whose penalties are too high; it is refused until they have fallen. */
  banIfDue(peer: PeerKey): void {
    const { metrics, penalties, background, running } = this.#modules;
    const host = running()?.host;
    if (host === undefined || !penalties.isBanned(peer)) return;
    metrics.bans.increment();
    background.run(async () => {
      await host.hangUp(peerIdFromString(peer));
    });
  }

  /** Dials what may be another daemon of the own identity: the handshake tells. */
  async probe(address: string): Promise<void> {
    try {
      await this.#modules.running()?.dialer.dialAddress(address, 'manual');
    } catch (error) {
      this.#modules.logger.debug({ address, reason: describeError(error) }, 'an address of the own identity was tried');
    }
  }

  #noteConnection(connection: Connection): void {
    const peer = peerOfConnection(connection);
    if (peer === null) {
      connection.abort(new TypeError('only Ed25519 identities take part'));
      return;
    }
    this.#modules.book.noteConnected(peer, connection.id, {
      direction: connection.direction,
      encryption: connection.encryption ?? null,
      address: connection.remoteAddr.toString(),
    });
    this.#modules.onConnection(peer, true);
    this.#countConnections();
  }

  #noteDisconnection(running: RunningParts, connection: Connection): void {
    const { book } = this.#modules;
    const peer = peerOfConnection(connection);
    if (peer === null) return;
    book.noteDisconnected(peer, connection.id);
    this.#countConnections();
    if (book.isConnected(peer)) return;
    running.gossip.noteDisconnected(peer);
    running.announcements.noteDisconnected(peer);
    running.observations.gossip.noteDisconnected(peer);
    running.bootstrap.noteDisconnected(peer);
    this.#modules.onConnection(peer, false);
  }

  #countConnections(): void {
    const { metrics, book, running } = this.#modules;
    metrics.connections.set(running()?.host.getConnections().length ?? 0);
    metrics.knownPeers.set(book.size);
  }
}
