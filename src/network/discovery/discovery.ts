import type { IdentifyResult, PeerInfo as LibraryPeerInfo } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import { CAPABILITY_CLASSES } from '../../domain/capability.ts';
import { PeerKey } from '../../domain/ids.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { BackgroundTasks } from '../background-tasks.ts';
import {
  BACKOFF_FIRST_MS,
  BACKOFF_MAX_MS,
  DHT_SEARCH_FIRST_MS,
  DHT_SEARCH_INTERVAL_MS,
  MAX_KNOWN_PEERS,
  MIN_CONNECTIONS,
  RECORD_SAMPLE,
  REMEMBERED_DIALS,
  UPKEEP_INTERVAL_MS,
} from '../constants.ts';
import type { BoundedPeerBook, PeerSource } from '../peers/bounded-peer-book.ts';
import type { KnownPeers } from '../peers/known-peers.ts';
import type { Bootstrap } from './bootstrap.ts';
import type { DhtDirectory } from './dht-directory.ts';
import type { Dialer } from './dialer.ts';
import type { IdentityWatch } from './identity-watch.ts';
import type { RecordExchange } from './record-exchange.ts';
import { SearchPace } from './search-pace.ts';

export interface DiscoveryModules {
  readonly book: BoundedPeerBook;
  readonly known: KnownPeers;
  readonly bootstrap: Bootstrap;
  readonly dialer: Dialer;
  readonly directory: DhtDirectory;
  readonly exchange: RecordExchange;
  readonly watch: IdentityWatch;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly background: BackgroundTasks;
  /** Aborted when the network stops. */
  readonly signal: AbortSignal;
}

export interface DiscoveryOptions {
  readonly self: PeerKey;
  /** Protocol id of records/1: who speaks it belongs to this network. */
  readonly recordsProtocol: string;
  readonly maxConnections: number;
}

/** Peers dialled in one round of upkeep. */
const DIALS_PER_ROUND = 4;
/** Known providers above which the DHT is not searched. */
const ENOUGH_PROVIDERS = 64;
/** A peer may publish a record between the first question and its place in our gossip mesh: it is asked once more. */
const RECHECK_MS = 2_000;

/** Anti-entropy: every 30 s a random peer tells a sample of the records that it knows. */
const ROUNDS_PER_SAMPLE = 6;

interface Failure {
  readonly attempts: number;
  readonly notBeforeMs: number;
}

/** Finds peers, from every source there is, and keeps enough of them connected. */
export class Discovery {
  readonly #modules: DiscoveryModules;
  readonly #options: DiscoveryOptions;
  readonly #failures = new LRUCache<PeerKey, Failure>({ max: MAX_KNOWN_PEERS });
  readonly #timers = new Set<Disposable>();
  readonly #searchPace = new SearchPace();
  #round = 0;

  constructor(modules: DiscoveryModules, options: DiscoveryOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** With `after`, once that has resolved; a network that is stopped meanwhile dials nobody. */
  start(after?: Promise<void>): void {
    const { background, signal } = this.#modules;
    if (after === undefined) return this.#begin();
    background.run(async () => {
      await raceSignal(after, signal);
      this.#begin();
    });
  }

  #begin(): void {
    this.#modules.bootstrap.start();
    this.#modules.background.run(() => this.#dialRemembered());
    this.#repeat(UPKEEP_INTERVAL_MS, UPKEEP_INTERVAL_MS, () => this.#upkeep());
    this.#repeat(DHT_SEARCH_FIRST_MS, DHT_SEARCH_INTERVAL_MS, () => this.#searchDht());
  }

  stop(): void {
    this.#modules.bootstrap.stop();
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
  }

  /** A connected peer told its protocols. Returns false if it belongs to another network. */
  noteIdentified(result: IdentifyResult): boolean {
    const peer = PeerKey(result.peerId.toString());
    if (!result.protocols.includes(this.#options.recordsProtocol)) return false;
    const addresses = result.listenAddrs.map((address) => address.toString());
    const { connection } = result;
    if (connection.direction === 'outbound') addresses.unshift(connection.remoteAddr.toString());
    this.#modules.book.noteSeen(peer, connection.direction === 'inbound' ? 'inbound' : 'manual', addresses);
    this.#failures.delete(peer);
    this.#modules.background.run(() => this.#modules.exchange.meet(peer, this.#modules.signal));
    this.#after(RECHECK_MS, () => {
      if (!this.#modules.book.isConnected(peer)) return;
      this.#modules.background.run(() =>
        this.#modules.exchange.ask(peer, { op: 'get', peers: [peer] }, this.#modules.signal),
      );
    });
    this.#modules.background.run(() => this.#modules.known.remember(peer, addresses));
    return true;
  }

  noteMdnsPeer(info: LibraryPeerInfo): void {
    const addresses = info.multiaddrs.map((address) => address.toString());
    if (info.id.toString() === this.#options.self) {
      this.#modules.watch.noteAddresses(addresses);
      return;
    }
    const peer = this.#noteFound(info, 'mdns');
    if (peer !== null) this.#modules.background.run(() => this.#dial(peer, addresses, 'mdns'));
  }

  /** Connects to a peer that the DHT named; true if it is connected then. */
  async reach(info: LibraryPeerInfo): Promise<boolean> {
    const peer = this.#noteFound(info, 'dht');
    if (peer === null) return false;
    const addresses = info.multiaddrs.map((address) => address.toString());
    const known = this.#modules.book.get(peer)?.addresses ?? [];
    await this.#dial(peer, addresses.length > 0 ? addresses : known, 'dht');
    return this.#modules.book.isConnected(peer);
  }

  #noteFound(info: LibraryPeerInfo, source: PeerSource): PeerKey | null {
    let peer: PeerKey;
    try {
      peer = PeerKey(info.id.toString());
    } catch {
      return null;
    }
    if (peer === this.#options.self) return null;
    const addresses = info.multiaddrs.map((address) => address.toString());
    this.#modules.book.noteSeen(peer, source, addresses);
    return peer;
  }

  async #dialRemembered(): Promise<void> {
    const remembered = await this.#modules.known.load();
    const others = remembered.filter((entry) => entry.peer !== this.#options.self);
    for (const entry of others) this.#modules.book.noteSeen(entry.peer, 'remembered', entry.addresses);
    const latest = others.slice(0, REMEMBERED_DIALS);
    await Promise.all(latest.map((entry) => this.#dial(entry.peer, entry.addresses, 'remembered')));
  }

  /** Dials a peer that is not connected, unless it failed lately or there are connections enough. */
  async #dial(peer: PeerKey, addresses: readonly string[], source: PeerSource): Promise<void> {
    const { book, dialer, clock, logger } = this.#modules;
    if (book.isConnected(peer) || addresses.length === 0 || this.#connectionCount() >= this.#options.maxConnections) {
      return;
    }
    const failure = this.#failures.get(peer);
    if (failure !== undefined && clock.monotonicMs() < failure.notBeforeMs) return;
    try {
      await dialer.dialPeer(peer, addresses, source);
    } catch (error) {
      const attempts = (failure?.attempts ?? 0) + 1;
      const waitMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempts);
      this.#failures.set(peer, { attempts, notBeforeMs: clock.monotonicMs() + waitMs });
      book.noteFailure(peer);
      this.#modules.background.run(() => this.#modules.known.noteFailure(peer));
      logger.debug({ peer, source, reason: describeError(error) }, 'a known peer cannot be reached');
    }
  }

  #connectionCount(): number {
    return this.#modules.book.list().filter((info) => info.isConnected).length;
  }

  async #upkeep(): Promise<void> {
    const { book, exchange, random, signal } = this.#modules;
    const peers = book.list();
    const connected = peers.filter((info) => info.isConnected);
    const [byte = 0] = random.bytes(1);
    const asked = connected[byte % Math.max(1, connected.length)];
    // gossipsub drops what claims to come from ourselves, so another daemon like us is found by asking.
    if (asked !== undefined) await exchange.ask(asked.peer, { op: 'get', peers: [this.#options.self] }, signal);
    if (asked !== undefined && this.#round++ % ROUNDS_PER_SAMPLE === 0) {
      await exchange.ask(asked.peer, { op: 'sample', limit: RECORD_SAMPLE }, signal);
    }
    if (connected.length >= MIN_CONNECTIONS) return;
    const candidates = peers.filter((info) => !info.isConnected && info.addresses.length > 0 && this.#isDue(info.peer));
    await Promise.all(
      candidates.slice(0, DIALS_PER_ROUND).map((info) => this.#dial(info.peer, info.addresses, info.source)),
    );
  }

  #isDue(peer: PeerKey): boolean {
    const failure = this.#failures.get(peer);
    return failure === undefined || this.#modules.clock.monotonicMs() >= failure.notBeforeMs;
  }

  async #searchDht(): Promise<void> {
    const { book, directory } = this.#modules;
    const connections = this.#connectionCount();
    const known = book.providers().length;
    if (connections === 0 || known >= ENOUGH_PROVIDERS) return;
    if (!this.#searchPace.isDue(known) && connections >= MIN_CONNECTIONS) return;
    let newcomers = 0;
    for (const name of CAPABILITY_CLASSES) {
      for (const info of await directory.findProviders(name)) {
        const peer = this.#noteFound(info, 'dht');
        if (peer === null || book.recordOf(peer) !== null) continue;
        await this.#dial(
          peer,
          info.multiaddrs.map((address) => address.toString()),
          'dht',
        );
        // The DHT names some for two days after they have gone.
        if (book.isConnected(peer)) newcomers += 1;
      }
    }
    this.#searchPace.noteSearched(newcomers);
  }

  #repeat(firstMs: number, laterMs: number, task: () => Promise<void>): void {
    this.#after(firstMs, () => {
      this.#modules.background.run(async () => {
        try {
          await task();
        } finally {
          if (!this.#modules.signal.aborted) this.#repeat(laterMs, laterMs, task);
        }
      });
    });
  }

  #after(delayMs: number, task: () => void): void {
    const timer = this.#modules.clock.schedule(delayMs, () => {
      this.#timers.delete(timer);
      if (!this.#modules.signal.aborted) task();
    });
    this.#timers.add(timer);
  }
}
