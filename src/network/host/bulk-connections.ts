import type { Connection, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import { createDeadline } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { BULK_DIAL_MS, BULK_IDLE_MS, BULK_RETRY_MS, MAX_BULK_CONNECTIONS, MAX_KNOWN_PEERS } from '../constants.ts';
import type { Host } from './create-host.ts';

export interface BulkConnectionsModules {
  readonly host: Pick<Host, 'dial' | 'getConnections'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface BulkConnection {
  readonly connection: Connection;
  lastUseMs: number;
}

/**
 * A second connection to a peer, for bulk only: behind megabytes in the buffers of one connection a small request waited
 * many times its own round trip (docs/decisions/0012-transfer.md). Where a second one cannot be had (a relay, a peer
 * behind NAT that dialled us) bulk goes over the first. Closed when it is idle.
 */
export class BulkConnections {
  readonly #modules: BulkConnectionsModules;
  readonly #open = new Map<PeerKey, BulkConnection>();
  readonly #opening = new Map<PeerKey, Promise<BulkConnection | null>>();
  /** Peers to which none could be had lately. */
  readonly #refused = new LRUCache<PeerKey, number>({ max: MAX_KNOWN_PEERS });
  #timer: Disposable | null = null;
  #isStopped = false;

  constructor(modules: BulkConnectionsModules) {
    this.#modules = modules;
  }

  /** A stream over a connection of its own; null if there is none and none can be had. */
  async openStream(peer: PeerKey, protocol: string, signal: AbortSignal): Promise<Stream | null> {
    try {
      const bulk = await this.#find(peer, signal);
      if (bulk === null) return null;
      const stream = await bulk.connection.newStream(protocol, { signal });
      stream.addEventListener('message', () => {
        bulk.lastUseMs = this.#modules.clock.monotonicMs();
      });
      return stream;
    } catch (error) {
      signal.throwIfAborted();
      this.#note(peer, error);
      return null;
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#open.clear();
  }

  #find(peer: PeerKey, signal: AbortSignal): Promise<BulkConnection | null> {
    const known = this.#open.get(peer);
    if (known?.connection.status === 'open') {
      known.lastUseMs = this.#modules.clock.monotonicMs();
      return Promise.resolve(known);
    }
    const running = this.#opening.get(peer);
    if (running !== undefined) return running;
    const opening = this.#dial(peer, signal).finally(() => this.#opening.delete(peer));
    this.#opening.set(peer, opening);
    return opening;
  }

  async #dial(peer: PeerKey, signal: AbortSignal): Promise<BulkConnection | null> {
    const { host, clock } = this.#modules;
    const [first] = host.getConnections(peerIdFromString(peer));
    const isFull = this.#open.size >= MAX_BULK_CONNECTIONS && !this.#open.has(peer);
    const refusedMs = this.#refused.get(peer) ?? Number.NEGATIVE_INFINITY;
    const isRefused = clock.monotonicMs() - refusedMs < BULK_RETRY_MS;
    if (first === undefined || first.limits !== undefined || isFull || isRefused || this.#isStopped) return null;
    using deadline = createDeadline(BULK_DIAL_MS, signal);
    // The address that has worked; of a peer that dialled us the ones that it tells.
    const target = first.direction === 'outbound' ? first.remoteAddr : first.remotePeer;
    const connection = await host.dial(target, { signal: deadline.signal, force: true });
    if (this.#isStopped || connection.remotePeer.toString() !== peer) {
      connection.abort(new DOMException('the connection is not wanted', 'AbortError'));
      return null;
    }
    const bulk = { connection, lastUseMs: clock.monotonicMs() };
    this.#open.set(peer, bulk);
    connection.addEventListener('close', () => {
      if (this.#open.get(peer) === bulk) this.#open.delete(peer);
    });
    this.#watchIdle();
    return bulk;
  }

  #note(peer: PeerKey, error: unknown): void {
    const { clock, logger } = this.#modules;
    this.#refused.set(peer, clock.monotonicMs());
    logger.debug({ peer, reason: describeError(error) }, 'bulk goes over the one connection to a peer');
  }

  #watchIdle(): void {
    if (this.#isStopped) return;
    this.#timer ??= this.#modules.clock.schedule(BULK_IDLE_MS / 2, () => {
      this.#timer = null;
      this.#closeIdle();
      if (this.#open.size > 0) this.#watchIdle();
    });
  }

  #closeIdle(): void {
    const nowMs = this.#modules.clock.monotonicMs();
    for (const [peer, { connection, lastUseMs }] of this.#open) {
      if (nowMs - lastUseMs < BULK_IDLE_MS) continue;
      this.#open.delete(peer);
      connection.close().catch((error: unknown) => {
        connection.abort(error instanceof Error ? error : new TypeError(describeError(error)));
      });
    }
  }
}
