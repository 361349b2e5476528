import type { PeerKey } from '../../domain/ids.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_ADDRESSES, MAX_KNOWN_PEERS } from '../constants.ts';
import type { PeerBook, PeerInfo } from '../interface.ts';

export type PeerSource = PeerInfo['source'];

export interface OpenConnection {
  readonly direction: 'inbound' | 'outbound';
  readonly encryption: string | null;
  readonly address: string;
}

interface Entry {
  readonly peer: PeerKey;
  source: PeerSource;
  readonly connections: Map<string, OpenConnection>;
  addresses: readonly string[];
  record: Signed<NodeRecord> | null;
  latencyMs: number | null;
  seenAtMs: number;
}

/** Everybody heard of, up to a bound; of those not connected the longest unseen is dropped first. */
export class BoundedPeerBook implements PeerBook {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #maxPeers: number;
  readonly #neighbourOf: (peer: PeerKey) => PeerInfo['neighbour'];
  readonly #entries = new Map<PeerKey, Entry>();
  readonly #listeners = new Set<() => void>();

  constructor(
    modules: {
      readonly clock: Clock;
      readonly logger: Logger;
      /** Absent where nobody is a neighbour. */
      readonly neighbourOf?: (peer: PeerKey) => PeerInfo['neighbour'];
    },
    options: { readonly maxPeers?: number } = {},
  ) {
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#neighbourOf = modules.neighbourOf ?? (() => null);
    this.#maxPeers = options.maxPeers ?? MAX_KNOWN_PEERS;
  }

  get size(): number {
    return this.#entries.size;
  }

  list(): readonly PeerInfo[] {
    return [...this.#entries.values()].map((entry) => this.#describe(entry));
  }

  get(peer: PeerKey): PeerInfo | undefined {
    const entry = this.#entries.get(peer);
    return entry === undefined ? undefined : this.#describe(entry);
  }

  isConnected(peer: PeerKey): boolean {
    return (this.#entries.get(peer)?.connections.size ?? 0) > 0;
  }

  providers(): readonly Signed<NodeRecord>[] {
    const connected: Signed<NodeRecord>[] = [];
    const others: Signed<NodeRecord>[] = [];
    for (const entry of this.#entries.values()) {
      const record = this.#validRecord(entry);
      if (record?.value.role.provides === true) (entry.connections.size > 0 ? connected : others).push(record);
    }
    return [...connected, ...others];
  }

  /** Unexpired records of anybody, for those who ask. */
  records(): readonly Signed<NodeRecord>[] {
    return [...this.#entries.values()].flatMap((entry) => this.#validRecord(entry) ?? []);
  }

  recordOf(peer: PeerKey): Signed<NodeRecord> | null {
    const entry = this.#entries.get(peer);
    return entry === undefined ? null : this.#validRecord(entry);
  }

  sequenceOf(peer: PeerKey): number {
    return this.#entries.get(peer)?.record?.value.sequence ?? 0;
  }

  onChange(listener: () => void): Disposable {
    // Two registrations of one function are two listeners.
    const own = (): void => listener();
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  noteSeen(peer: PeerKey, source: PeerSource, addresses: readonly string[]): void {
    const entry = this.#enter(peer, source);
    // A dial opens the connection before its reason is told: `manual` stands where nothing better is known.
    if (entry.source === 'manual') entry.source = source;
    entry.addresses = [...new Set([...addresses, ...entry.addresses])].slice(0, MAX_ADDRESSES);
    this.#changed();
  }

  noteConnected(peer: PeerKey, connectionId: string, connection: OpenConnection): void {
    const entry = this.#enter(peer, connection.direction === 'inbound' ? 'inbound' : 'manual');
    entry.connections.set(connectionId, connection);
    this.#changed();
  }

  noteDisconnected(peer: PeerKey, connectionId: string): void {
    const entry = this.#entries.get(peer);
    if (entry?.connections.delete(connectionId) !== true) return;
    entry.seenAtMs = this.#clock.monotonicMs();
    this.#changed();
  }

  /** The host is gone and every connection with it. */
  forgetConnections(peer: PeerKey): void {
    this.#entries.get(peer)?.connections.clear();
  }

  noteLatency(peer: PeerKey, latencyMs: number): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) entry.latencyMs = latencyMs;
  }

  /** Takes a record that was judged; false if a newer one came in between. */
  putRecord(record: Signed<NodeRecord>, source: PeerSource): boolean {
    const { peer, sequence, addresses } = record.value;
    if (sequence <= this.sequenceOf(peer)) return false;
    const entry = this.#enter(peer, source);
    entry.record = record;
    entry.addresses = [...new Set([...addresses, ...entry.addresses])].slice(0, MAX_ADDRESSES);
    this.#changed();
    return true;
  }

  #enter(peer: PeerKey, source: PeerSource): Entry {
    let entry = this.#entries.get(peer);
    if (entry === undefined) {
      if (this.#entries.size >= this.#maxPeers) this.#evict();
      entry = { peer, source, connections: new Map(), addresses: [], record: null, latencyMs: null, seenAtMs: 0 };
      this.#entries.set(peer, entry);
    }
    entry.seenAtMs = this.#clock.monotonicMs();
    return entry;
  }

  #evict(): void {
    let oldest: Entry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.connections.size > 0) continue;
      if (oldest === undefined || entry.seenAtMs < oldest.seenAtMs) oldest = entry;
    }
    if (oldest !== undefined) this.#entries.delete(oldest.peer);
  }

  #validRecord(entry: Entry): Signed<NodeRecord> | null {
    const { record } = entry;
    return record !== null && record.value.expiresAtMs > this.#clock.nowMs() ? record : null;
  }

  #describe(entry: Entry): PeerInfo {
    const [connection] = entry.connections.values();
    return {
      peer: entry.peer,
      isConnected: connection !== undefined,
      direction: connection?.direction ?? null,
      addresses: connection === undefined ? entry.addresses : [...new Set([connection.address, ...entry.addresses])],
      encryption: connection?.encryption ?? null,
      latencyMs: entry.latencyMs,
      source: entry.source,
      record: this.#validRecord(entry),
      neighbour: this.#neighbourOf(entry.peer),
    };
  }

  #changed(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#logger.error({ reason: describeError(error) }, 'a listener of the peer book threw');
      }
    }
  }
}
