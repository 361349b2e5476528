import type { PeerKey } from '../domain/ids.ts';
import type { NodeRecord } from '../domain/node-record.ts';
import type { Signed } from '../domain/signed.ts';
import type { Identity } from '../identity/interface.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { BackgroundTasks } from './background-tasks.ts';
import { ContentRouter } from './discovery/content-router.ts';
import { DhtRecordRules } from './discovery/dht-record-rules.ts';
import { IdentityWatch } from './discovery/identity-watch.ts';
import { RecordExchange } from './discovery/record-exchange.ts';
import { NetworkError } from './errors.ts';
import { AnnouncementGossip } from './gossip/announcement-gossip.ts';
import { GossipedObservations } from './gossip/observation-channel.ts';
import { RouterGuard } from './gossip/router/router-guard.ts';
import { countDhtPeers, createHost, type Host } from './host/create-host.ts';
import { DialPolicy } from './host/dial-policy.ts';
import { serveProtocols } from './host/serve-protocols.ts';
import { HostEvents } from './host-events.ts';
import type {
  ContentRouting,
  JobAnnouncements,
  Neighbours,
  Network,
  NetworkStartOptions,
  NetworkStatus,
  NodeRecordContent,
  ObservationChannel,
  PeerBook,
  ProtocolMessages,
  ProtocolName,
  RequestHandler,
  RequestOptions,
} from './interface.ts';
import { createNetworkMetrics, type NetworkMetrics } from './metrics.ts';
import { NeighbourHost, type NeighbourHostModules } from './neighbour-host.ts';
import { type NetworkOptions, PRESETS } from './options.ts';
import { BoundedPeerBook } from './peers/bounded-peer-book.ts';
import { OwnRecord } from './peers/own-record.ts';
import { PeerPenalties } from './peers/peer-penalties.ts';
import { RecordIntake } from './peers/record-intake.ts';
import { RecordPublisher } from './peers/record-publisher.ts';
import { describeReason } from './reasons.ts';
import { RequestTransport } from './reqresp/request-transport.ts';
import {
  createOpener,
  createRunningParts,
  describeMeshes,
  describeReach,
  type LastingParts,
  type RunningParts,
} from './running-parts.ts';

export interface NetworkModules extends Pick<NeighbourHostModules, 'beacon' | 'autonomousSystems'> {
  readonly identity: Identity;
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** The network over js-libp2p. */
export class Libp2pNetwork implements Network {
  readonly #modules: NetworkModules;
  readonly #options: NetworkOptions;
  readonly #metrics: NetworkMetrics;
  readonly #logger: Logger;
  readonly #book: BoundedPeerBook;
  readonly #penalties: PeerPenalties;
  readonly #ownRecord: OwnRecord;
  readonly #transport: RequestTransport;
  readonly #watch: IdentityWatch;
  readonly #intake: RecordIntake;
  readonly #exchange: RecordExchange;
  readonly #publisher: RecordPublisher;
  readonly #background: BackgroundTasks;
  readonly #dialPolicy: DialPolicy;
  readonly #events: HostEvents;
  readonly #announcements: AnnouncementGossip;
  readonly #observations: GossipedObservations;
  readonly #content: ContentRouter;
  readonly #neighbours: NeighbourHost;
  #running: RunningParts | null = null;

  constructor(modules: NetworkModules, options: NetworkOptions) {
    const { clock, identity } = modules;
    const logger = modules.logger.child({ module: 'network' });
    const self = identity.peer;
    this.#modules = modules;
    this.#options = options;
    this.#logger = logger;
    this.#metrics = createNetworkMetrics(modules.metrics);
    this.#dialPolicy = new DialPolicy(options);
    const { isUsable } = this.#dialPolicy;
    const neighbourOf = (peer: PeerKey) => this.#neighbours.neighbours.isNeighbour(peer);
    this.#book = new BoundedPeerBook({ clock, logger, isUsable, neighbourOf }, PRESETS[options.preset]);
    this.#penalties = new PeerPenalties(clock);
    this.#background = new BackgroundTasks(logger, () => this.#running === null);
    this.#events = this.#createEvents();
    ({ announcements: this.#announcements, observations: this.#observations } = this.#createTopics());
    this.#content = new ContentRouter({ self, clock, logger });
    this.#ownRecord = new OwnRecord({ ...modules, logger }, options);
    this.#publisher = new RecordPublisher(
      {
        ownRecord: this.#ownRecord,
        clock,
        ownAddresses: () => this.#ownAddresses(),
        inBackground: (task) => this.#background.run(task),
      },
      options,
    );
    this.#transport = new RequestTransport(
      {
        ...this.#common,
        opener: { openStream: createOpener(() => this.#assertRunning(), options) },
        onViolation: (peer, protocol, violation) => this.#events.noteViolation(peer, protocol, violation),
      },
      { self, limits: options.limits ?? {} },
    );
    this.#watch = this.#createWatch();
    this.#intake = this.#createIntake();
    this.#exchange = this.#createExchange();
    this.#exchange.start();
    this.#neighbours = this.#createNeighbours();
  }

  get peers(): PeerBook {
    return this.#book;
  }

  get announcements(): JobAnnouncements {
    return this.#announcements;
  }

  get observations(): ObservationChannel {
    return this.#observations;
  }

  get neighbours(): Neighbours {
    return this.#neighbours.neighbours;
  }

  get content(): ContentRouting {
    return this.#content;
  }

  get duplicateIdentityDetected(): Promise<readonly string[]> {
    return this.#watch.detected;
  }

  async start({ signal, dialAfter }: NetworkStartOptions = {}): Promise<void> {
    if (this.#running !== null) return;
    signal?.throwIfAborted();
    await this.#ownRecord.load();
    const host = await this.#createHost();
    try {
      await host.start();
    } catch (error) {
      await Promise.resolve(host.stop()).catch(() => undefined);
      const reason = describeReason(error);
      const info = { code: 'NETWORK_LISTEN_FAILED', addresses: this.#options.listen, reason } as const;
      throw new NetworkError(info, { cause: error });
    }
    const running = this.#assemble(host);
    this.#running = running;
    try {
      await this.#begin(running, dialAfter);
      signal?.throwIfAborted();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ends streams, connections, timers and background work. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.controller.abort(new NetworkError({ code: 'NETWORK_NOT_RUNNING' }));
    this.#publisher.stop();
    await this.#neighbours.stop();
    this.#announcements.detach();
    this.#content.detach();
    await this.#observations.detach();
    running.bulk.stop();
    this.#transport.stop();
    running.discovery.stop();
    running.reachability.stop();
    await running.host.stop();
    await this.#background.settle();
    for (const info of this.#book.list()) this.#book.forgetConnections(info.peer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  handle<Name extends ProtocolName>(protocol: Name, handler: RequestHandler<Name>): Disposable {
    return this.#transport.handle(protocol, handler);
  }

  request<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options?: RequestOptions,
  ): Promise<ProtocolMessages[Name]['response']> {
    return this.#transport.request(peer, protocol, request, options);
  }

  stream<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options?: RequestOptions,
  ): AsyncIterable<ProtocolMessages[Name]['response']> {
    return this.#transport.stream(peer, protocol, request, options);
  }

  async connect(address: string, options: AbortOptions = {}): Promise<PeerKey> {
    return this.#assertRunning().dialer.dialAddress(address, 'manual', options.signal);
  }

  async updateRecord(content: NodeRecordContent): Promise<void> {
    await this.#publisher.update(content);
  }

  /** The newest record that the DHT has of a peer, taken into the book; null if it has none that is valid. */
  async findRecord(peer: PeerKey): Promise<Signed<NodeRecord> | null> {
    const wire = await this.#assertRunning().directory.findRecord(peer);
    if (wire !== null) await this.#intake.take(wire, 'dht');
    return this.#book.recordOf(peer);
  }

  status(): NetworkStatus {
    const running = this.#running;
    const addresses = this.#watch.addresses;
    return {
      ...describeReach(running),
      connections: running?.host.getConnections().length ?? 0,
      isDegraded: running?.bootstrap.isDegraded ?? false,
      bootstrap: running?.bootstrap.reports() ?? [],
      gossip: running === null ? {} : describeMeshes(running),
      dhtPeers: running === null ? 0 : countDhtPeers(running.host),
      duplicateIdentity: addresses === null ? null : { addresses },
    };
  }

  #assertRunning(): RunningParts {
    if (this.#running === null) throw new NetworkError({ code: 'NETWORK_NOT_RUNNING' });
    return this.#running;
  }

  /** What most parts are given. */
  get #common() {
    return {
      ...this.#modules,
      logger: this.#logger,
      metrics: this.#metrics,
      book: this.#book,
      penalties: this.#penalties,
      background: this.#background,
      running: () => this.#running,
      onPenalty: (peer: PeerKey) => this.#events.banIfDue(peer),
    };
  }

  #createEvents(): HostEvents {
    return new HostEvents({
      ...this.#common,
      onConnection: (peer, isConnected) => this.#neighbours.noteConnection(peer, isConnected),
    });
  }

  #createNeighbours(): NeighbourHost {
    return new NeighbourHost(
      {
        ...this.#common,
        registry: this.#modules.metrics,
        transport: this.#transport,
        intake: this.#intake,
        exchange: this.#exchange,
        ownRecord: () => this.#ownRecord.current,
      },
      this.#options,
    );
  }

  #createTopics() {
    return {
      announcements: new AnnouncementGossip(this.#common, this.#options),
      observations: new GossipedObservations({ ...this.#common, transport: this }, this.#options),
    };
  }

  #createWatch(): IdentityWatch {
    const { identity } = this.#modules;
    return new IdentityWatch(
      {
        ...this.#common,
        ownAddresses: () => this.#ownAddresses(),
        probe: (address) => this.#events.probe(address),
        answerLaterInstance: (record) => this.#publisher.overrule(record),
      },
      { self: identity.peer, instance: this.#ownRecord.instance, startedAtMs: this.#ownRecord.startedAtMs },
    );
  }

  #createIntake(): RecordIntake {
    return new RecordIntake(
      {
        ...this.#common,
        onOwnRecord: (record) => this.#watch.noteRecord(record),
        onAccepted: (record) => this.#events.noteRecord(record),
        onTold: (record, teller) => this.#neighbours.noteRecord(record, teller),
      },
      { networkId: this.#options.networkId, self: this.#modules.identity.peer },
    );
  }

  #createExchange(): RecordExchange {
    return new RecordExchange(
      {
        ...this.#common,
        transport: this.#transport,
        intake: this.#intake,
        ownRecord: () => this.#ownRecord.current,
        observations: this.#observations.exchange,
      },
      { self: this.#modules.identity.peer },
    );
  }

  #createHost(): Promise<Host> {
    const { identity, clock } = this.#modules;
    return createHost(
      {
        privateKey: identity.privateKey,
        dhtRules: new DhtRecordRules(clock, this.#options.networkId),
        onIdentitySeen: (peer, direction) => {
          if (peer.toString() === identity.peer) this.#watch.noteOwnHandshake(direction);
        },
        onMdnsPeer: (info) => this.#running?.discovery.noteMdnsPeer(info),
        penaltyOf: (peer) => this.#penalties.penaltyOf(peer),
        isChosen: (peer) => this.#neighbours.isChosen(peer),
        reputationOf: (peer) => this.#observations.reputationOf(peer),
        isBanned: (peer) => this.#penalties.isBanned(peer),
        dialPolicy: this.#dialPolicy,
        routerGuard: new RouterGuard(this.#common),
      },
      this.#options,
    );
  }

  #assemble(host: Host): RunningParts {
    const lasting: LastingParts = {
      ...this.#common,
      self: this.#modules.identity.peer,
      watch: this.#watch,
      intake: this.#intake,
      exchange: this.#exchange,
      announcements: this.#announcements,
      observations: this.#observations,
      dialPolicy: this.#dialPolicy,
      onAddresses: () => this.#background.run(() => this.#publisher.publish()),
      onContact: () => this.#publisher.noteContact(),
    };
    return createRunningParts(host, lasting, this.#options);
  }

  async #begin(running: RunningParts, dialAfter: Promise<void> | undefined): Promise<void> {
    const { host, gossip, discovery, directory, contacts, controller, takers } = running;
    this.#transport.start();
    this.#events.listen(running);
    await serveProtocols(host, this.#transport, this.#options);
    gossip.start();
    this.#content.attach({
      dht: host.services.dht,
      noteAddresses: async ({ id, multiaddrs }) => void (await host.peerStore.merge(id, { multiaddrs })),
      signal: controller.signal,
    });
    const { pubsub } = host.services;
    this.#announcements.attach({ pubsub, seekTakers: (...sought) => takers.seek(...sought) });
    this.#observations.attach(pubsub, controller.signal);
    if (this.#options.dhtClientMode !== true) await host.services.dht.setMode('server');
    await running.reachability.start();
    await this.#publisher.start({ gossip, directory, contacts, signal: controller.signal });
    await this.#neighbours.start();
    discovery.start(dialAfter);
  }

  #ownAddresses(): readonly string[] {
    return (this.#running?.host.getMultiaddrs() ?? []).map((address) => address.toString());
  }
}
