import type { PeerKey } from '../../domain/ids.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_ADDRESSES, MAX_KNOWN_PEERS } from '../constants.ts';
import type { PeerBook, PeerInfo } from '../interface.ts';
import { collectAddressGroups } from '../neighbours/candidates/address-groups.ts';

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
  /** Of its first address; null if that says nothing. */
  group: string | null;
  /** Failed dials since it was last connected. */
  failures: number;
  record: Signed<NodeRecord> | null;
  latencyMs: number | null;
  seenAtMs: number;
}

/**
 * Everybody heard of, up to a bound in all and for each address group (/24 of IPv4, /48 of IPv6). Of those not connected
 * the one that failed most is dropped first, then the longest unseen.
 */
export class BoundedPeerBook implements PeerBook {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #maxPeers: number;
  readonly #maxPerGroup: number;
  readonly #isUsable: (address: string) => boolean;
  readonly #neighbourOf: (peer: PeerKey) => PeerInfo['neighbour'];
  readonly #entries = new Map<PeerKey, Entry>();
  readonly #listeners = new Set<() => void>();

  constructor(
    modules: {
      readonly clock: Clock;
      readonly logger: Logger;
      /** Absent where nobody is a neighbour. */
      readonly neighbourOf?: (peer: PeerKey) => PeerInfo['neighbour'];
      /** Whether an address may be dialled; the others are not kept. */
      readonly isUsable?: (address: string) => boolean;
    },
    options: { readonly maxPeers?: number; readonly knownPerGroup?: number } = {},
  ) {
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#neighbourOf = modules.neighbourOf ?? (() => null);
    this.#isUsable = modules.isUsable ?? (() => true);
    this.#maxPeers = options.maxPeers ?? MAX_KNOWN_PEERS;
    this.#maxPerGroup = options.knownPerGroup ?? Number.POSITIVE_INFINITY;
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
    const entry = this.#enter(peer, source, addresses);
    // A dial opens the connection before its reason is told: `manual` stands where nothing better is known.
    if (entry.source === 'manual') entry.source = source;
    this.#addAddresses(entry, addresses);
    this.#changed();
  }

  /** A dial failed. */
  noteFailure(peer: PeerKey): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) entry.failures += 1;
  }

  noteConnected(peer: PeerKey, connectionId: string, connection: OpenConnection): void {
    const entry = this.#enter(peer, connection.direction === 'inbound' ? 'inbound' : 'manual', [connection.address]);
    entry.failures = 0;
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
    const entry = this.#enter(peer, source, addresses);
    entry.record = record;
    this.#addAddresses(entry, addresses);
    this.#changed();
    return true;
  }

  #enter(peer: PeerKey, source: PeerSource, addresses: readonly string[]): Entry {
    const entry = this.#entries.get(peer) ?? this.#create(peer, source, addresses);
    entry.seenAtMs = this.#clock.monotonicMs();
    return entry;
  }

  #create(peer: PeerKey, source: PeerSource, addresses: readonly string[]): Entry {
    this.#makeRoom(findGroup(addresses.filter(this.#isUsable)));
    const entry: Entry = {
      peer,
      source,
      connections: new Map(),
      addresses: [],
      group: null,
      failures: 0,
      record: null,
      latencyMs: null,
      seenAtMs: 0,
    };
    this.#entries.set(peer, entry);
    return entry;
  }

  #addAddresses(entry: Entry, addresses: readonly string[]): void {
    const usable = addresses.filter(this.#isUsable);
    entry.addresses = [...new Set([...usable, ...entry.addresses])].slice(0, MAX_ADDRESSES);
    entry.group = findGroup(entry.addresses);
  }

  /** A group that has its share makes room for its own, so that it pushes nobody else out. */
  #makeRoom(group: string | null): void {
    if (group !== null && Number.isFinite(this.#maxPerGroup)) {
      const members = [...this.#entries.values()].filter((entry) => entry.group === group);
      if (members.length >= this.#maxPerGroup) this.#evict(members);
    }
    if (this.#entries.size >= this.#maxPeers) this.#evict(this.#entries.values());
  }

  #evict(entries: Iterable<Entry>): void {
    let worst: Entry | undefined;
    for (const entry of entries) {
      if (entry.connections.size > 0) continue;
      if (worst === undefined || compareWorth(entry, worst) < 0) worst = entry;
    }
    if (worst !== undefined) this.#entries.delete(worst.peer);
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

/** Negative if `a` is to be forgotten before `b`. */
function compareWorth(a: Entry, b: Entry): number {
  return a.failures === b.failures ? a.seenAtMs - b.seenAtMs : b.failures - a.failures;
}

function findGroup(addresses: readonly string[]): string | null {
  return collectAddressGroups(addresses.slice(0, 1), { usesPrivate: true })[0]?.key ?? null;
}
