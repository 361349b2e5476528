import type { Connection, IdentifyResult, PeerInfo } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { PeerKey } from '../../domain/ids.ts';
import { createDeadline } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { BackgroundTasks } from '../background-tasks.ts';
import { DIAL_TIMEOUT_MS } from '../constants.ts';
import type { Host } from '../host/create-host.ts';
import { isLoopbackOnly } from '../host/dial-policy.ts';
import type { Reachability } from '../interface.ts';
import { collectAddressGroups } from '../neighbours/candidates/address-groups.ts';
import { type NetworkOptions, PRESETS } from '../options.ts';
import { isPrivateAddress, isRelayed } from './address-scope.ts';
import { MAX_RELAY_CANDIDATES, REACHABILITY_CHECK_MS } from './constants.ts';
import { RelayDirectory } from './relay-directory.ts';
import { RelayKeeper } from './relay-keeper.ts';
import { judgeReachability, type ReachVerdict } from './verdict.ts';

/** The protocol on which a relay is asked for a place and for connections. */
const RELAY_HOP = '/libp2p/circuit/relay/0.2.0/hop';
const LOOPBACK = /^\/(ip4\/127\.|ip6\/::1\/)/;
/** Relays found in one search of the DHT that are connected to. */
const RELAYS_SOUGHT = 4;

export interface ReachabilityModules {
  readonly host: Host;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly background: BackgroundTasks;
  /** Aborted when the network stops. */
  readonly signal: AbortSignal;
  readonly dial: (address: string) => Promise<PeerKey>;
  readonly reach: (peer: PeerInfo) => Promise<boolean>;
  /** What is told of this node's addresses is another than before. */
  readonly onAddresses: () => void;
}

/** Finds out whether this node can be reached, holds places at relays where it cannot, and relays for others where it can. */
export class ReachabilityWatch {
  readonly #modules: ReachabilityModules;
  readonly #options: NetworkOptions;
  readonly #keeper: RelayKeeper | null;
  readonly #directory: RelayDirectory;
  readonly #outbound = new LRUCache<string, true>({ max: MAX_RELAY_CANDIDATES });
  #firstOutboundMs: number | null = null;
  #lastInboundMs: number | null = null;
  #verdict: ReachVerdict = { kind: 'unknown', reason: 'it has just started' };
  #told: string | null = null;
  #timer: Disposable | null = null;
  #topology: string | null = null;

  constructor(modules: ReachabilityModules, options: NetworkOptions) {
    const { host } = modules;
    const { places } = host.services.reach;
    this.#modules = modules;
    this.#options = options;
    this.#directory = new RelayDirectory({ ...modules, dht: host.services.dht });
    this.#keeper =
      places === null
        ? null
        : new RelayKeeper(
            {
              ...modules,
              places,
              seek: () => this.#seekRelays(),
              groupOf: (relay) => this.#groupOf(relay),
            },
            host.services.reach.options.relay,
          );
  }

  async start(): Promise<void> {
    const { host } = this.#modules;
    host.addEventListener('connection:open', ({ detail }) => this.#noteConnection(detail));
    host.addEventListener('peer:identify', ({ detail }) => this.#noteIdentified(detail));
    this.#topology = await host.register(RELAY_HOP, {
      onConnect: (peer) => {
        this.#keeper?.noteRelay(peer.toString() as PeerKey);
        this.#checkSoon();
      },
      onDisconnect: (peer) => this.#keeper?.noteGone(peer.toString() as PeerKey),
    });
    this.#check();
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    if (this.#topology !== null) this.#modules.host.unregister(this.#topology);
    this.#topology = null;
  }

  status(): Reachability {
    const { places, relayService } = this.#modules.host.services.reach;
    return {
      ...this.#verdict,
      relays: places?.list() ?? [],
      relaying: relayService?.isRunning === true ? relayService.places : null,
    };
  }

  #check(): void {
    const { background, clock, signal } = this.#modules;
    this.#timer = null;
    if (signal.aborted) return;
    this.#judge();
    background.run(async () => {
      try {
        await this.#act();
      } finally {
        if (!signal.aborted) this.#timer = clock.schedule(REACHABILITY_CHECK_MS, () => this.#check());
      }
    });
  }

  /** Unless one runs: that sees it too. */
  #checkSoon(): void {
    if (this.#timer === null) return;
    this.#timer[Symbol.dispose]();
    this.#timer = null;
    this.#check();
  }

  #judge(): void {
    const { host, clock, logger } = this.#modules;
    const own = host.services.reach.ownAddresses().filter(({ multiaddr }) => !isRelayed(multiaddr));
    const confirmed = own.filter(({ verified, multiaddr }) => verified && !isPrivateAddress(multiaddr));
    const verdict = judgeReachability({
      nowMs: clock.monotonicMs(),
      listens: own.length > 0,
      isLoopbackOnly: isLoopbackOnly(this.#options.listen),
      announced: this.#options.announce,
      confirmed: confirmed.map(({ multiaddr }) => multiaddr.toString()),
      lastInboundMs: this.#lastInboundMs,
      outboundPeers: this.#outbound.size,
      firstOutboundMs: this.#firstOutboundMs,
    });
    const isNews = verdict.kind !== this.#verdict.kind;
    this.#verdict = verdict;
    if (isNews) logger.info({ kind: verdict.kind, reason: verdict.reason }, 'how this node is reached has changed');
  }

  async #act(): Promise<void> {
    const { host, onAddresses } = this.#modules;
    const { options, relayService } = host.services.reach;
    const { kind } = this.#verdict;
    const { client, service } = options.relay;
    if (client === 'on' || (client === 'auto' && kind === 'private')) await this.#keeper?.fill();
    if (relayService !== null && (service === 'on' || kind === 'public') !== relayService.isRunning) {
      await (relayService.isRunning ? this.#stopRelaying() : this.#startRelaying());
    }
    await this.#setDhtMode();
    const told = host.getMultiaddrs().map(String).sort().join();
    if (this.#told !== null && this.#told !== told) onAddresses();
    this.#told = told;
  }

  async #startRelaying(): Promise<void> {
    const { host, background } = this.#modules;
    await host.services.reach.relayService?.start();
    background.run(() => this.#directory.provide());
  }

  async #stopRelaying(): Promise<void> {
    await this.#modules.host.services.reach.relayService?.stop();
    await this.#directory.cancel();
  }

  /** Others should not be sent to a node that they cannot connect to. */
  async #setDhtMode(): Promise<void> {
    if (this.#options.dhtClientMode === true) return;
    const mode = this.#verdict.kind === 'private' ? 'client' : 'server';
    await this.#modules.host.services.dht.setMode(mode);
  }

  async #seekRelays(): Promise<void> {
    for (const info of await this.#directory.find(RELAYS_SOUGHT)) await this.#modules.reach(info);
  }

  #groupOf(relay: PeerKey): string | null {
    const [connection] = this.#connectionsOf(relay);
    if (connection === undefined) return null;
    return collectAddressGroups([connection.remoteAddr.toString()], { usesPrivate: true })[0]?.key ?? null;
  }

  #connectionsOf(peer: string): readonly Connection[] {
    return this.#modules.host.getConnections().filter(({ remotePeer }) => remotePeer.toString() === peer);
  }

  #noteConnection({ direction, remoteAddr, remotePeer, limits }: Connection): void {
    if (limits !== undefined || isRelayed(remoteAddr) || !this.#isOutside(remoteAddr)) return;
    const nowMs = this.#modules.clock.monotonicMs();
    if (direction === 'inbound') {
      this.#lastInboundMs = nowMs;
      return;
    }
    this.#firstOutboundMs ??= nowMs;
    this.#outbound.set(remotePeer.toString(), true);
  }

  #isOutside(address: Multiaddr): boolean {
    return PRESETS[this.#options.preset].privateAddresses === 'skip'
      ? !isPrivateAddress(address)
      : !LOOPBACK.test(address.toString());
  }

  /** Who came through a relay may be reached directly from here: a relayed connection is slow and short. */
  #noteIdentified({ connection, listenAddrs, peerId }: IdentifyResult): void {
    if (connection.limits === undefined || connection.direction !== 'inbound') return;
    const { host, background, signal } = this.#modules;
    const isDirect = this.#connectionsOf(peerId.toString()).some(({ limits }) => limits === undefined);
    const direct = listenAddrs.filter((address) => !isRelayed(address));
    if (isDirect || direct.length === 0) return;
    background.run(async () => {
      using deadline = createDeadline(DIAL_TIMEOUT_MS, signal);
      const targets = direct.map((address) => address.encapsulate(`/p2p/${peerId.toString()}`));
      // Most nodes that come through a relay cannot be dialled either: then the relayed connection is what there is.
      await host.dial(targets, { signal: deadline.signal }).catch(() => undefined);
    });
  }
}
