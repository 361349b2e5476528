import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TimeBeacon } from '../../src/beacon/computed-beacon.ts';
import { FileBlobStore } from '../../src/blob/file-blob-store.ts';
import { createSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import { type PeerKey, UnixMs } from '../../src/domain/ids.ts';
import type { NodeRecord } from '../../src/domain/node-record.ts';
import { LocalIdentity } from '../../src/identity/local-identity.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { PeerBook } from '../../src/network/interface.ts';
import { Libp2pNetwork } from '../../src/network/libp2p-network.ts';
import { createReputationParts } from '../../src/node/reputation-parts.ts';
import type { LedgerReputation } from '../../src/reputation/ledger-reputation.ts';
import type { GpuSource } from '../../src/sandbox/gpu/interface.ts';
import type { Executor } from '../../src/sandbox/interface.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import type { JobDraft } from '../../src/scheduler/interface.ts';
import { OfferRouter } from '../../src/scheduler/offer-router.ts';
import { JOB_REQUESTER_DEFAULTS, type JobRequesterOptions } from '../../src/scheduler/options.ts';
import { JobProvider } from '../../src/scheduler/provider/job-provider.ts';
import { JOB_PROVIDER_DEFAULTS, type JobProviderOptions } from '../../src/scheduler/provider/options.ts';
import type { RatingOutbox } from '../../src/scheduler/rating-outbox.ts';
import { JobRequester } from '../../src/scheduler/requester/job-requester.ts';
import { SnapshotFetcher } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import { LeafServer } from '../../src/scheduler/transfer/leaf-server.ts';
import { LevelDatabase } from '../../src/storage/level-database.ts';
import type { Confidentiality, EvidenceProducer } from '../../src/tee/interface.ts';
import { NoopAuditTrail } from '../../src/telemetry/audit/noop-audit-trail.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { PinoLogger } from '../../src/telemetry/pino-logger.ts';
import { RecordingMetrics } from './network.ts';

export interface LiveNodeOptions {
  readonly executor?: Executor;
  readonly bootstrap?: readonly string[];
  /** By default a port of its own on loopback; none: nobody can dial it. */
  readonly listen?: readonly string[];
  readonly parameters?: Partial<JobRequesterOptions['parameters']>;
  /** Its scheduler is told of no peers, as if none of their records had arrived. */
  readonly knowsNobody?: boolean;
  readonly provider?: Partial<JobProviderOptions>;
  readonly requester?: Partial<JobRequesterOptions>;
  /** It observes those it works with, and hears what others have observed. */
  readonly observes?: boolean;
  /** Prices that its node record names; it works for nothing all the same. */
  readonly pricesPerHour?: NodeRecord['pricesPerHour'];
  /** Where there are confidential jobs; with a producer it provides for them. */
  readonly confidential?: {
    readonly confidentiality: Confidentiality;
    readonly producer?: EvidenceProducer;
  };
  /** GPUs that it lends, and what its record says of them. */
  readonly gpus?: { readonly source: GpuSource; readonly claims: NodeRecord['claims']['gpus'] };
  /** Everything is logged to a file in its folder. */
  readonly logsToFile?: boolean;
}

const NOBODY: PeerBook = {
  list: () => [],
  get: () => undefined,
  providers: () => [],
  onChange: () => ({ [Symbol.dispose]: () => undefined }),
};

export interface LiveNode extends AsyncDisposable {
  readonly peer: PeerKey;
  /** With all that it has on disk. */
  readonly folder: string;
  readonly network: Libp2pNetwork;
  /** The one that was started last. */
  readonly requester: JobRequester;
  /** Stops the requester, as when its daemon goes down; the rest of the node stays. */
  stopRequester(): Promise<void>;
  /** As when its daemon comes back: a new one takes up what is on disk. */
  startRequester(): Promise<void>;
  readonly provider: JobProvider;
  readonly blobs: FileBlobStore;
  readonly metrics: RecordingMetrics;
  /** Idle unless it observes. */
  readonly reputation: LedgerReputation;
  readonly ratings: RatingOutbox;
  address(): string;
}

/** Network, storage, blobs and both sides of the scheduler, all real, in a folder of its own; the executor is given. */
export async function startLiveNode(options: LiveNodeOptions = {}): Promise<LiveNode> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-live-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const identity = await LocalIdentity.fromSeed(new SystemRandom().bytes(32));
  const common = {
    identity,
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: options.logsToFile === true ? stack.use(await openLogFile(folder)) : new NoopLogger(),
    metrics: new RecordingMetrics(),
  };
  const database = stack.use(await LevelDatabase.open(join(folder, 'db'), common));
  const beacon = new TimeBeacon(common, { networkId: 'test', roundMs: 30_000, epochRounds: 120 });
  const { confidentiality, producer } = options.confidential ?? {};
  const storeKey = common.random.bytes(32);
  const blobs = stack.use(
    new FileBlobStore(
      { ...common, database },
      {
        directory: join(folder, 'blobs'),
        maxBytes: 2 ** 30,
        storeKey: confidentiality === undefined ? null : storeKey,
      },
    ),
  );
  await blobs.start();
  const network = stack.use(createNetwork(options, { ...common, database, beacon }));
  const grants = new BlobGrants();
  const folderOfSnapshots = join(folder, 'snapshots');
  const store = stack.use(
    await createSnapshotStore({ ...common, database }, { folder: folderOfSnapshots, maxBytes: 2 ** 28 }),
  );
  const fetcher = stack.use(new SnapshotFetcher({ ...common, transport: network, store }));
  const parameters = {
    leaseDurationMs: 4_000,
    leaseRenewalMs: 1_000,
    offerTtlMs: 5_000,
    recordTtlMs: 600_000,
    beaconRoundMs: 1_000,
    epochRounds: 10,
    ...options.parameters,
  };
  const shared = { networkId: 'test', parameters };
  const transfers = stack.use(new BlobTransfers({ ...common, transport: network, blobs }));
  const watching = stack.use(createReputationParts({ ...common, database, network }, { id: 'test', parameters }));
  const { reputation, ratings } = watching;
  const notes = options.observes === true ? { attemptNotes: watching.attemptNotes, reputation } : {};
  const parts = { ...common, ...notes, database, blobs, transfers, grants };
  const offerRouter = new OfferRouter(network);
  const { announcements } = network;
  const peers = options.knowsNobody === true ? NOBODY : network.peers;
  const createRequester = () =>
    new JobRequester(
      {
        ...parts,
        ...(confidentiality === undefined ? {} : { confidential: { confidentiality, storeKey } }),
        offerRouter,
        network: { transport: network, peers, announcements },
        snapshots: { store, source: fetcher },
      },
      {
        ...JOB_REQUESTER_DEFAULTS,
        ...shared,
        confidential: { ...JOB_REQUESTER_DEFAULTS.confidential, hasSimulatedTee: confidentiality !== undefined },
        ...options.requester,
      },
    );
  let requester = createRequester();
  const executors = options.executor === undefined ? [] : [options.executor];
  const provider = new JobProvider(
    {
      ...parts,
      offerRouter,
      announcements,
      peers,
      transport: network,
      executors,
      reachability: network,
      audit: new NoopAuditTrail(),
      ...(confidentiality === undefined || producer === undefined
        ? {}
        : { confidential: { confidentiality, producer } }),
      snapshots: { store, fetcher },
      ...(options.gpus === undefined ? {} : { gpus: options.gpus.source }),
    },
    {
      ...JOB_PROVIDER_DEFAULTS,
      ...shared,
      isEnabled: executors.length > 0,
      isolationForStrangers: 'process',
      slots: 2,
      ...options.provider,
    },
  );
  await network.start({});
  if (options.observes === true) watching.start();
  stack.defer(() => requester.stop());
  stack.defer(() => provider.stop());
  stack.use(serveBlobs(network, { blobs, leaves: new LeafServer({ ...common, blobs }), snapshots: store }, grants));
  await announce(network, options);
  await requester.start(new AbortController().signal);
  await provider.start();
  const owned = stack.move();
  return {
    peer: identity.peer,
    folder,
    network,
    get requester() {
      return requester;
    },
    stopRequester: () => requester.stop(),
    startRequester: async () => {
      requester = createRequester();
      await requester.start(new AbortController().signal);
    },
    provider,
    blobs,
    metrics: common.metrics,
    reputation,
    ratings,
    address: () => network.status().listen[0] ?? '',
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function createNetwork(
  options: LiveNodeOptions,
  modules: ConstructorParameters<typeof Libp2pNetwork>[0],
): Libp2pNetwork {
  return new Libp2pNetwork(modules, {
    networkId: 'test',
    preset: 'local',
    listen: options.listen ?? ['/ip4/127.0.0.1/tcp/0'],
    announce: [],
    bootstrap: options.bootstrap ?? [],
    mdns: false,
    preSharedKey: null,
    recordTtlMs: 600_000,
    software: 'fogproof/test',
  });
}

async function openLogFile(folder: string): Promise<PinoLogger> {
  return await PinoLogger.open({ level: 'debug', file: { path: join(folder, 'daemon.log') }, stream: null });
}

async function announce(
  network: Libp2pNetwork,
  { executor, pricesPerHour = [], confidential, gpus }: LiveNodeOptions,
): Promise<void> {
  const executors =
    executor === undefined
      ? []
      : [{ kind: executor.kind, isolation: [...executor.isolation], instrumenter: executor.instrumenter, slots: 2 }];
  await network.updateRecord({
    role: { provides: executors.length > 0, requests: true },
    claims: {
      claimClass: 'declared',
      region: null,
      cpuCores: 2,
      memoryBytes: 2 ** 30,
      diskBytes: 2 ** 30,
      gpus: gpus?.claims ?? [],
    },
    capabilities: [
      'cpu',
      ...(gpus === undefined ? [] : (['gpu-consumer', 'gpu-datacentre'] as const)),
      ...(confidential?.producer === undefined ? [] : (['tee'] as const)),
    ],
    executors,
    pricesPerHour,
  });
}

/** Resolves once the node knows as many providers. */
export async function knowsProviders(node: LiveNode, count: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const deadline = AbortSignal.timeout(20_000);
  deadline.addEventListener('abort', () => reject(deadline.reason), { once: true });
  const look = (): void => {
    if (node.network.peers.providers().length >= count) resolve();
  };
  using _listener = node.network.peers.onChange(look);
  look();
  await promise;
}

/** A job that any of these nodes can run. */
export async function describeLiveDraft(node: LiveNode, change: Partial<JobDraft> = {}): Promise<JobDraft> {
  const { blob, sizeBytes } = await node.blobs.put(encodeUtf8('\0asm module'));
  return {
    name: 'live',
    deadlineMs: UnixMs(Date.now() + 60_000),
    capabilityClass: 'cpu',
    workload: {
      kind: 'wasm',
      module: blob,
      moduleSizeBytes: sizeBytes,
      abi: 'fogproof',
      arguments: [],
      environment: {},
      seed: new Uint8Array(32),
    },
    inputs: [],
    resources: { memoryBytes: 65_536, fuel: 1_000, wallTimeMs: 10_000, outputBytes: 10_000_000, logBytes: 1_000 },
    isolation: 'process',
    replication: { replicas: 1, quorum: 1, diversity: 'peer' },
    retries: 3,
    market: 'direct',
    priceCeiling: '0',
    ...change,
  };
}
