import type { FileBlobStore } from '../blob/file-blob-store.ts';
import type { PackedSnapshotStore } from '../blob/snapshots/packed-snapshot-store.ts';
import { CarBundleExporter } from '../bundle/car-bundle-exporter.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { computeDataPaths } from '../config/paths.ts';
import type { NodeConfig } from '../config/schema.ts';
import { CAPABILITY_CLASSES } from '../domain/capability.ts';
import type { NetworkDefinition } from '../domain/network-definition.ts';
import type { Identity, StoreKeySource, WalletKeySource } from '../identity/interface.ts';
import { type Clock, SystemClock } from '../lib/clock.ts';
import { type Random, SystemRandom } from '../lib/random.ts';
import { VERSION } from '../lib/version.ts';
import { Libp2pNetwork, type NetworkModules } from '../network/libp2p-network.ts';
import { openAutonomousSystems } from '../network/neighbours/candidates/mmdb-autonomous-systems.ts';
import type { AutonomousSystems } from '../network/neighbours/ports.ts';
import type { LedgerReputation } from '../reputation/ledger-reputation.ts';
import { ControlSocketServer } from '../rpc/control-socket.ts';
import { createMethodTable } from '../rpc/method-table.ts';
import { GpuInventory } from '../sandbox/gpu/gpu-inventory.ts';
import type { GpuSource } from '../sandbox/gpu/interface.ts';
import { findGpuPlaces } from '../sandbox/gpu/places.ts';
import { ProcHostCapacity } from '../sandbox/host/proc-host-capacity.ts';
import type { Executor, HostCapacity } from '../sandbox/interface.ts';
import type { AttemptNotes } from '../scheduler/attempt-notes.ts';
import type { BlobGrants } from '../scheduler/blob-access.ts';
import { JobStore } from '../scheduler/job-store.ts';
import { OfferRouter } from '../scheduler/offer-router.ts';
import { JOB_REQUESTER_DEFAULTS } from '../scheduler/options.ts';
import { JobProvider } from '../scheduler/provider/job-provider.ts';
import { JOB_PROVIDER_DEFAULTS } from '../scheduler/provider/options.ts';
import { NO_RECEIPT_NOTES, type ReceiptNotes } from '../scheduler/receipt-notes.ts';
import { JobRequester } from '../scheduler/requester/job-requester.ts';
import { StoredSnapshotKeys } from '../scheduler/requester/stored-snapshot-keys.ts';
import type { SnapshotFetcher } from '../scheduler/snapshots/snapshot-fetcher.ts';
import type { BlobTransfers } from '../scheduler/transfer/blob-transfers.ts';
import type { Database } from '../storage/interface.ts';
import { LevelDatabase } from '../storage/level-database.ts';
import { FileAuditTrail } from '../telemetry/audit/file-audit-trail.ts';
import type { AuditTrail, Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { NodeBackups } from './backup/node-backups.ts';
import { bindIdentity } from './bind-identity.ts';
import { createBlobParts, openStores } from './blob-parts.ts';
import { type ChainParts, createChainParts } from './chain-parts.ts';
import { type ConfidentialParts, createConfidentialParts } from './confidential-parts.ts';
import { EventLoopDelay } from './event-loop-delay.ts';
import { createExecutors, probeExecutors } from './executor-parts.ts';
import type { NodeSeams } from './interface.ts';
import { FogproofNode } from './node.ts';
import { OperatorDesk } from './operator-desk.ts';
import { createReputationParts } from './reputation-parts.ts';

/** What the daemon takes from its keys. */
type NodeIdentity = Identity & StoreKeySource & WalletKeySource;

export interface CreateNodeModules {
  readonly identity: NodeIdentity;
  /** What is weaker than it could be about how the identity is kept. */
  readonly identityRemarks: readonly string[];
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly seams?: NodeSeams;
}

/** What nearly every part is given. */
interface Common {
  readonly identity: NodeIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Builds the daemon from the bottom up. A failure half way closes what was opened; stopping is the same in reverse. */
export async function createNode(
  loaded: LoadedConfig,
  modules: CreateNodeModules,
  options: { readonly signal: AbortSignal },
): Promise<FogproofNode> {
  const { config, network: definition } = loaded;
  const paths = computeDataPaths(config.home);
  const { identity, identityRemarks, logger, metrics, seams = {} } = modules;
  const clock = seams.clock ?? new SystemClock();
  const common: Common = { identity, logger, metrics, clock, random: new SystemRandom() };
  // Starts real children, which takes as long as the rest of the construction: both at once.
  const probing = probeExecutors(config, common);
  const confidential = await createConfidentialParts(loaded, common);
  await using stack = new AsyncDisposableStack();

  const database = stack.use(await LevelDatabase.open(paths.database, { logger, observer: seams.writes }));
  await bindIdentity(database, identity.peer, config.home);
  const audit = stack.use(await FileAuditTrail.open(common, { folder: paths.audit, ...config.policy.audit }));
  const stores = await openStores({ ...common, database, observer: seams.disk }, config, stack);
  const chain = stack.use(await createChainParts(loaded, { ...common, database }, options));
  const autonomousSystems = await openSystems(config);
  const network = stack.use(createNetwork(loaded, { ...common, database, beacon: chain.beacon, autonomousSystems }));
  const executors = createExecutors(config, common, await probing).map((executor) => stack.use(executor));
  const moving = createBlobParts({ ...common, database, network }, stores, stack);
  const { blobControl, sharedBlobs, fetcher, ...blobParts } = moving;
  const { blobs, store } = stores;
  const receiptNotes = chain.receiptNotes ?? NO_RECEIPT_NOTES;
  const reputationParts = stack.use(createReputationParts({ ...common, database, network }, definition));
  const { reputation, attemptNotes, ratings } = reputationParts;
  const notes = { receiptNotes, attemptNotes, reputation };
  const scheduling = { database, network, blobs, ...notes, offerRouter: new OfferRouter(network) };
  const shared: SchedulerParts = { ...common, ...blobParts, ...scheduling, snapshots: { store, fetcher } };
  const requester = createRequester(loaded, shared, confidential);
  stack.defer(() => requester.stop());
  const host = stack.use(new ProcHostCapacity({ folder: config.home, pid: process.pid }));
  const gpus = stack.use(new GpuInventory({ ...common, places: seams.gpus ?? findGpuPlaces() }, config.provide.gpus));
  const provider = createProvider(loaded, { ...shared, executors, host, audit, gpus }, confidential);
  const operator = new OperatorDesk({ ...common, provider, audit, database }, config);
  // The last that the log says of this process follows the last of what the provider did.
  stack.use(operator);
  stack.defer(() => provider.stop());
  const eventLoop = stack.use(new EventLoopDelay(common));
  const own = { chain, executors, gpus, requester, provider, operator, sharedBlobs, eventLoop, identityRemarks };
  const parts = { ...shared, ...own, teeKind: confidential.producer?.kind ?? null };
  const node = new FogproofNode({ ...parts, reputationParts }, { config, network: definition });
  const control = {
    ...shared,
    ratings,
    requester,
    provider,
    operator,
    blobControl,
    bundles: createExporter({ ...shared, ...confidential }, chain),
  };
  const backups = new NodeBackups({ ...common, database }, { home: config.home });
  const methods = createMethodTable({ ...control, node, backups, chain: chain.control }, { version: VERSION });
  const socket = stack.use(new ControlSocketServer({ ...common, methods }, { path: config.socket }));
  node.adopt(socket, stack.move());
  return node;
}

function createExporter(
  parts: SchedulerParts & Pick<ConfidentialParts, 'evidenceJudge'>,
  { anchors, anchorReader }: ChainParts,
): CarBundleExporter {
  const keys = new StoredSnapshotKeys(new JobStore(parts));
  return new CarBundleExporter({
    ...parts,
    snapshots: { store: parts.snapshots.store, keys },
    ...(anchors === null ? {} : { anchors }),
    ...(anchorReader === null ? {} : { anchorReader }),
  });
}

function createNetwork({ config, network }: LoadedConfig, modules: NetworkModules): Libp2pNetwork {
  return new Libp2pNetwork(modules, {
    networkId: network.id,
    preset: network.preset,
    listen: config.listen,
    announce: config.announce,
    bootstrap: [...network.bootstrap, ...config.bootstrap],
    mdns: config.mdns,
    preSharedKey: decodePreSharedKey(network),
    recordTtlMs: network.parameters.recordTtlMs,
    software: `fogproof/${VERSION}`,
    reachability: { ...config.nat, relay: config.relay },
  });
}

async function openSystems({ neighbours }: NodeConfig): Promise<AutonomousSystems | undefined> {
  return neighbours.asnDatabase === null ? undefined : await openAutonomousSystems(neighbours.asnDatabase);
}

function decodePreSharedKey({ preSharedKey }: NetworkDefinition): Uint8Array | null {
  return preSharedKey === null ? null : Uint8Array.from(Buffer.from(preSharedKey, 'hex'));
}

interface SchedulerParts extends Common {
  readonly network: Libp2pNetwork;
  readonly blobs: FileBlobStore;
  readonly transfers: BlobTransfers;
  readonly grants: BlobGrants;
  readonly offerRouter: OfferRouter;
  readonly database: Database;
  readonly receiptNotes: ReceiptNotes;
  readonly attemptNotes: AttemptNotes;
  readonly reputation: LedgerReputation;
  readonly snapshots: { readonly store: PackedSnapshotStore; readonly fetcher: SnapshotFetcher };
}

function createRequester(
  { config, network: definition }: LoadedConfig,
  parts: SchedulerParts,
  { confidentiality, requester: confidential }: ConfidentialParts,
): JobRequester {
  const { network, identity } = parts;
  return new JobRequester(
    {
      ...parts,
      network: { transport: network, peers: network.peers, announcements: network.announcements },
      snapshots: { store: parts.snapshots.store, source: parts.snapshots.fetcher },
      confidential: { confidentiality, storeKey: identity.deriveStoreKey() },
    },
    {
      ...JOB_REQUESTER_DEFAULTS,
      networkId: definition.id,
      parameters: definition.parameters,
      maxActiveJobs: config.request.maxActiveJobs,
      snapshotKeepForMs: config.snapshots.keepForMs,
      confidential,
    },
  );
}

function createProvider(
  { config, network: definition }: LoadedConfig,
  parts: SchedulerParts & {
    readonly executors: readonly Executor[];
    readonly host: HostCapacity;
    readonly audit: AuditTrail;
    readonly gpus: GpuSource;
  },
  { confidentiality, producer }: ConfidentialParts,
): JobProvider {
  const { provide, results, snapshots } = config;
  const { gpus, ...others } = parts;
  return new JobProvider(
    {
      ...others,
      ...(provide.enabled && provide.gpus.enabled ? { gpus } : {}),
      transport: parts.network,
      reachability: parts.network,
      announcements: parts.network.announcements,
      peers: parts.network.peers,
      ...(producer === null ? {} : { confidential: { confidentiality, producer } }),
    },
    {
      ...JOB_PROVIDER_DEFAULTS,
      networkId: definition.id,
      parameters: definition.parameters,
      isEnabled: provide.enabled,
      slots: provide.slots,
      limits: {
        memoryBytes: provide.maxMemoryBytes,
        fuel: provide.maxFuel,
        wallTimeMs: provide.maxWallTimeMs,
        outputBytes: provide.maxOutputBytes,
        logBytes: JOB_PROVIDER_DEFAULTS.limits.logBytes,
      },
      allowRequesters: provide.allowRequesters,
      trustedRequesters: provide.trustedRequesters,
      isolationForStrangers: provide.isolationForStrangers,
      policy: config.policy,
      pricesPerHour: CAPABILITY_CLASSES.map((capabilityClass) => ({
        capabilityClass,
        price: provide.pricesPerHour[capabilityClass],
      })),
      queue: provide.queue,
      host: provide.host,
      resultsKeptForMs: results.keepForMs,
      snapshots: {
        share: snapshots.timePercent / 100,
        keepForMs: snapshots.keepForMs,
        maxPerAttempt: snapshots.maxPerAttempt,
        // Half of the space stays for what runs here.
        hold: { ...snapshots.hold, maxBytes: Math.floor(snapshots.maxBytes / 2) },
      },
    },
  );
}
