import type { FileBlobStore } from '../blob/file-blob-store.ts';
import { collectChainRemarks } from '../config/resolve-chain.ts';
import type { NodeConfig } from '../config/schema.ts';
import type { TeeKind } from '../domain/capability.ts';
import type { NetworkDefinition } from '../domain/network-definition.ts';
import type { Identity } from '../identity/interface.ts';
import type { Clock } from '../lib/clock.ts';
import { VERSION } from '../lib/version.ts';
import type { NeighbourStatus, Network } from '../network/interface.ts';
import type { ControlSocketServer } from '../rpc/control-socket.ts';
import type { NodeControl, NodeStatus } from '../rpc/interface.ts';
import type { GpuInventory } from '../sandbox/gpu/gpu-inventory.ts';
import type { Executor } from '../sandbox/interface.ts';
import type { JobProvider } from '../scheduler/provider/job-provider.ts';
import type { JobRequester } from '../scheduler/requester/job-requester.ts';
import type { SharedBlobs } from '../scheduler/transfer/public-blobs.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import type { ChainParts } from './chain-parts.ts';
import { NodeError } from './errors.ts';
import type { EventLoopDelay } from './event-loop-delay.ts';
import { claimGpus, composeRecord, readHostFacts } from './host-claims.ts';
import type { OperatorDesk } from './operator-desk.ts';
import { releaseMemory } from './release-memory.ts';
import { collectRemarks } from './remarks.ts';
import type { ReputationParts } from './reputation-parts.ts';

export interface NodeModules {
  readonly identity: Identity;
  readonly identityRemarks: readonly string[];
  readonly blobs: FileBlobStore;
  readonly sharedBlobs: SharedBlobs;
  readonly network: Network;
  readonly chain: Pick<ChainParts, 'beacon' | 'remarks' | 'start' | 'describe'>;
  readonly executors: readonly Executor[];
  /** Whose evidence this node can show; null: none. */
  readonly teeKind: TeeKind | null;
  readonly requester: JobRequester;
  readonly provider: JobProvider;
  readonly operator: Pick<OperatorDesk, 'start'>;
  readonly gpus: Pick<GpuInventory, 'refresh' | 'snapshot'>;
  readonly eventLoop: EventLoopDelay;
  readonly reputationParts: Pick<ReputationParts, 'start'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

export interface NodeOptions {
  readonly config: NodeConfig;
  readonly network: NetworkDefinition;
}

/** How long a graceful stop waits for running attempts when it was asked to drain, ms. */
const DRAIN_TIMEOUT_MS = 10 * 60_000;

/**
 * When what lies behind is collected, ms: after the first exchanges with peers, after it has met most of them, and then now
 * and again. A daemon that has nothing to do makes too little garbage for V8 to look.
 */
const TIDY_AFTER_MS = [2_000, 60_000, 600_000] as const;

/** One running daemon: starts its parts from the bottom, answers for all of them, and ends as one. */
export class FogproofNode implements NodeControl, AsyncDisposable {
  readonly #modules: NodeModules;
  readonly #options: NodeOptions;
  readonly #root = new AbortController();
  #socket: ControlSocketServer | undefined;
  #stack: AsyncDisposableStack | undefined;
  #tidying: Disposable | undefined;
  #startedAtMs = 0;
  #readyAfterMs = 0;

  constructor(modules: NodeModules, options: NodeOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Aborts when the daemon is to stop: by the socket, a signal, or because its identity runs elsewhere. */
  get stopping(): AbortSignal {
    return this.#root.signal;
  }

  /** Takes over what must be closed at the end; the control socket is opened last and closed first. */
  adopt(socket: ControlSocketServer, stack: AsyncDisposableStack): void {
    this.#socket = socket;
    this.#stack = stack;
  }

  /** Resolves when the daemon is ready for work. @throws the coded error of the part that could not start */
  async start(): Promise<void> {
    const { blobs, chain, clock, logger, network, provider, requester, sharedBlobs } = this.#modules;
    const { signal } = this.#root;
    this.#startedAtMs = clock.nowMs();
    this.#modules.eventLoop.start();
    this.#watchIdentity();
    await Promise.all([blobs.start(), sharedBlobs.load()]);
    const ready = Promise.withResolvers<void>();
    await Promise.all([network.start({ signal, dialAfter: ready.promise }), chain.start(signal)]);
    sharedBlobs.start();
    this.#modules.reputationParts.start();
    await Promise.all([requester.start(signal), provider.start(signal)]);
    await this.#modules.operator.start();
    await this.#socket?.start({ signal });
    signal.throwIfAborted();
    ready.resolve();
    this.#readyAfterMs = Math.round(performance.now());
    logger.info({ readyAfterMs: this.#readyAfterMs, listen: network.status().listen }, 'node is ready');
    await this.#describe(signal);
    this.#tidy(0);
  }

  /** It stops everything for some tens of ms, so never while there is work. */
  #tidy(turn: number): void {
    const afterMs = TIDY_AFTER_MS[turn] ?? TIDY_AFTER_MS[2];
    this.#tidying = this.#modules.clock.schedule(afterMs, () => {
      const isBusy = this.#modules.requester.counts().active > 0 || this.#modules.provider.status().attempts.length > 0;
      if (turn === 0 || !isBusy) releaseMemory();
      this.#tidy(turn + 1);
    });
  }

  /** GPUs are told a moment later: a hung driver must not hold the daemon up. */
  async #describe(signal: AbortSignal): Promise<void> {
    const { config } = this.#options;
    const { gpus: inventory, logger, network } = this.#modules;
    const host = await readHostFacts(config.home);
    await network.updateRecord(composeRecord(config, { ...host, gpus: [] }, this.#modules));
    const detected = inventory.refresh(Number.MAX_SAFE_INTEGER, { signal }).then(async () => {
      const gpus = claimGpus(inventory.snapshot);
      if (gpus.length > 0) await network.updateRecord(composeRecord(config, { ...host, gpus }, this.#modules));
    });
    detected.catch((error: unknown) => {
      if (!signal.aborted) logger.warn({ error }, 'GPUs could not be told');
    });
  }

  /** Two daemons under one identity lose each other's work and rewards: the one that notices stops. */
  #watchIdentity(): void {
    const { identity, logger, network } = this.#modules;
    void network.duplicateIdentityDetected.then((addresses) => {
      if (this.#root.signal.aborted) return;
      const error = new NodeError({ code: 'NODE_DUPLICATE_IDENTITY', peer: identity.peer, addresses });
      logger.fatal({ addresses }, error.message);
      this.#root.abort(error);
    });
  }

  async status(): Promise<NodeStatus> {
    const { chain, clock, executors, identity, identityRemarks, network, provider, requester } = this.#modules;
    const { config, network: definition } = this.#options;
    const nowMs = clock.nowMs();
    const status = network.status();
    const chainStatus = await chain.describe();
    const isolation = executors.flatMap((executor) => executor.isolation);
    return {
      peer: identity.peer,
      networkId: definition.id,
      preset: definition.preset,
      version: VERSION,
      pid: process.pid,
      home: config.home,
      socket: config.socket,
      startedAtMs: this.#startedAtMs,
      uptimeMs: Math.max(0, nowMs - this.#startedAtMs),
      readyAfterMs: this.#readyAfterMs,
      memoryBytes: process.memoryUsage.rss(),
      network: status,
      neighbours: summarise(network.neighbours.status()),
      peersKnown: network.peers.list().length,
      provider: provider.status(),
      jobs: requester.counts(),
      beacon: chain.beacon.status(),
      chain: chainStatus,
      remarks: [
        ...identityRemarks,
        ...chain.remarks,
        ...collectChainRemarks({ config, network: definition }),
        ...collectRemarks({
          config,
          network: status,
          isolation,
          chain: chainStatus,
          unlisted: requester.unlisted(),
          teeKind: this.#modules.teeKind,
        }),
      ],
    };
  }

  stop({ drain }: { readonly drain: boolean }): void {
    const { logger, provider } = this.#modules;
    if (this.#root.signal.aborted) return;
    if (!drain) {
      this.#root.abort();
      return;
    }
    logger.info({}, 'draining: no new work is taken');
    const deadline = AbortSignal.any([this.#root.signal, AbortSignal.timeout(DRAIN_TIMEOUT_MS)]);
    provider
      .drain({ signal: deadline })
      .catch((error: unknown) => logger.warn({ error }, 'draining ended before all work had'))
      .finally(() => this.#root.abort());
  }

  renderMetrics(): Promise<string> {
    this.#modules.eventLoop.report();
    return this.#modules.metrics.render();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#root.abort();
    this.#tidying?.[Symbol.dispose]();
    await this.#stack?.disposeAsync();
    this.#modules.logger.info({}, 'node stopped');
  }
}

function summarise({
  neighbours: _neighbours,
  refusals: _refusals,
  ...summary
}: NeighbourStatus): NodeStatus['neighbours'] {
  return summary;
}
