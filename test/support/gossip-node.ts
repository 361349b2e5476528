import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import type { Announcement } from '../../src/domain/announcement.ts';
import type { CapabilityClass } from '../../src/domain/capability.ts';
import type { PeerKey } from '../../src/domain/ids.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { DhtRecordRules } from '../../src/network/discovery/dht-record-rules.ts';
import { AnnouncementGossip } from '../../src/network/gossip/announcement-gossip.ts';
import { RouterGuard } from '../../src/network/gossip/router/router-guard.ts';
import { topicId } from '../../src/network/gossip/topics.ts';
import { createHost, type Host } from '../../src/network/host/create-host.ts';
import { DialPolicy } from '../../src/network/host/dial-policy.ts';
import { createNetworkMetrics } from '../../src/network/metrics.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import { PeerPenalties } from '../../src/network/peers/peer-penalties.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { signAnnouncement } from './announcement-builder.ts';
import { createTestIdentity, RecordingMetrics } from './network.ts';

export const JOB_TOPIC = topicId('test', 'jobs/cpu');
const POLL_MS = 10;

/** Resolves as soon as `check` holds. @throws Error after the deadline */
export async function whenever(what: string, check: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come about within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Dials until it succeeds: on a machine that is busy a handshake may run out of time. @throws what the last attempt did */
export async function dialSurely(dial: () => Promise<unknown>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      await dial();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}

export interface GossipNodeOptions {
  readonly classes?: readonly CapabilityClass[];
  readonly preset?: NetworkOptions['preset'];
}

/** The host, the router with its guard and the topics of jobs as the daemon has them, connected to whom the test says. */
export class GossipNode implements AsyncDisposable {
  readonly identity: Identity;
  readonly metrics = new RecordingMetrics();
  readonly heard: Signed<Announcement>[] = [];
  readonly gossip: AnnouncementGossip;
  readonly penalties: PeerPenalties;
  readonly #options: NetworkOptions;
  readonly #guard: RouterGuard;
  #host: Host | null = null;

  private constructor(identity: Identity, { preset = 'local' }: GossipNodeOptions) {
    const clock = new SystemClock();
    this.identity = identity;
    this.penalties = new PeerPenalties(clock);
    this.#options = {
      networkId: 'test',
      preset,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      bootstrap: [],
      mdns: false,
      preSharedKey: null,
      recordTtlMs: 600_000,
      software: 'test',
    };
    const modules = {
      clock,
      penalties: this.penalties,
      metrics: createNetworkMetrics(this.metrics),
      logger: new NoopLogger(),
      onPenalty: (peer: PeerKey) => this.#banIfDue(peer),
    };
    this.#guard = new RouterGuard(modules);
    this.gossip = new AnnouncementGossip(modules, this.#options);
  }

  static async start(options: GossipNodeOptions = {}): Promise<GossipNode> {
    const node = new GossipNode(await createTestIdentity(), options);
    await node.#start(options.classes ?? ['cpu']);
    return node;
  }

  async #start(classes: readonly CapabilityClass[]): Promise<void> {
    const { penalties, identity } = this;
    const host = await createHost(
      {
        privateKey: identity.privateKey,
        dhtRules: new DhtRecordRules(new SystemClock(), 'test'),
        onIdentitySeen: () => undefined,
        onMdnsPeer: () => undefined,
        penaltyOf: (peer) => penalties.penaltyOf(peer),
        isChosen: () => false,
        isBanned: (peer) => penalties.isBanned(peer),
        dialPolicy: new DialPolicy(this.#options),
        routerGuard: this.#guard,
      },
      this.#options,
    );
    await host.start();
    this.#host = host;
    this.gossip.attach({ pubsub: host.services.pubsub, seekTakers: async () => undefined });
    if (classes.length > 0) this.gossip.listen(classes, (announcement) => this.heard.push(announcement));
  }

  get host(): Host {
    if (this.#host === null) throw new TypeError('the host is not started');
    return this.#host;
  }

  get address(): string {
    return this.host.getMultiaddrs()[0]?.toString() ?? '';
  }

  /** Connected, and each knows what the other listens to. */
  async connect(other: GossipNode): Promise<void> {
    await dialSurely(() => this.host.dial(multiaddr(other.address)));
    await whenever('two nodes know what the other listens to', () => this.knows(other) && other.knows(this));
  }

  knows(other: GossipNode): boolean {
    return this.host.services.pubsub.getSubscribers(JOB_TOPIC).some((peer) => peer.toString() === other.identity.peer);
  }

  isConnected(peer: PeerKey): boolean {
    return this.host.getConnections(peerIdFromString(peer)).length > 0;
  }

  async announce(changes: Partial<Announcement> = {}): Promise<Signed<Announcement>> {
    const announcement = await signAnnouncement(this.identity, Date.now(), changes);
    await this.gossip.announce(announcement);
    return announcement;
  }

  hasHeard({ id }: Signed<Announcement>): boolean {
    return this.heard.some((announcement) => announcement.id === id);
  }

  /** How often a code of the table of verdicts was given. */
  count(code: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.metrics.read('fogproof_network_gossip_verdicts_total', { ...labels, code });
  }

  #banIfDue(peer: PeerKey): void {
    if (!this.penalties.isBanned(peer)) return;
    this.#host?.hangUp(peerIdFromString(peer)).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host?.stop();
  }
}
