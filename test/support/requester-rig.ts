import { type JobId, type PeerKey, UnixMs } from '../../src/domain/ids.ts';
import type { NodeRecord } from '../../src/domain/node-record.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { LocalIdentity } from '../../src/identity/local-identity.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { JobAnnouncements, PeerBook, PeerInfo } from '../../src/network/interface.ts';
import type { AttemptNotes } from '../../src/scheduler/attempt-notes.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import type { JobDraft, JobView, ReputationView } from '../../src/scheduler/interface.ts';
import { JOB_REQUESTER_DEFAULTS, type JobRequesterOptions } from '../../src/scheduler/options.ts';
import type { ReceiptNotes } from '../../src/scheduler/receipt-notes.ts';
import { JobRequester } from '../../src/scheduler/requester/job-requester.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { TransportMesh } from './fake-transport.ts';
import { FakeSnapshots } from './held-snapshots.ts';
import { ManualClock, until } from './manual-clock.ts';
import { MemoryDatabase } from './memory-database.ts';
import { RecordingMetrics } from './network.ts';
import { HeapBlobStore } from './provider-blobs.ts';
import { type Script, ScriptedProvider } from './scripted-provider.ts';

export const PARAMETERS = {
  leaseDurationMs: 4_000,
  leaseRenewalMs: 1_000,
  offerTtlMs: 5_000,
  recordTtlMs: 60_000,
  beaconRoundMs: 1_000,
  epochRounds: 10,
};
export const MODULE = encodeUtf8('\0asm module');

export async function identityOf(byte: number): Promise<Identity> {
  return LocalIdentity.fromSeed(new Uint8Array(32).fill(byte));
}

/** A book of peers that a test writes. */
export class FakePeerBook implements PeerBook {
  readonly records: NodeRecord[] = [];
  readonly #listeners = new Set<() => void>();

  add(record: NodeRecord): void {
    this.records.push(record);
    for (const listener of this.#listeners) listener();
  }

  list(): readonly PeerInfo[] {
    return [];
  }

  get(): undefined {
    return undefined;
  }

  providers(): readonly Signed<NodeRecord>[] {
    // The requester reads the records alone; their signatures are the network's business.
    return this.records.map((value) => ({ value }) as Signed<NodeRecord>);
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }
}

export function describeRecord(peer: PeerKey, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    type: 'fogproof/node-record@1',
    network: 'test',
    peer,
    vrfPublicKey: new Uint8Array(32),
    sequence: 1,
    issuedAtMs: UnixMs(0),
    expiresAtMs: UnixMs(9_000_000_000_000),
    instance: new Uint8Array(16),
    addresses: [],
    software: 'test',
    role: { provides: true, requests: false },
    claims: { claimClass: 'declared', region: null, cpuCores: 2, memoryBytes: 1, diskBytes: 1, gpus: [] },
    capabilities: ['cpu'],
    executors: [{ kind: 'wasm', isolation: ['process'], instrumenter: 'scripted/1', slots: 2 }],
    pricesPerHour: [],
    ...change,
  };
}

export interface RequesterRigOptions {
  readonly requester?: Partial<JobRequesterOptions>;
  /** Told of every job that ends with a result. */
  readonly receiptNotes?: (database: MemoryDatabase) => ReceiptNotes;
  /** Told of every job that ends. */
  readonly attemptNotes?: (database: MemoryDatabase) => AttemptNotes;
  readonly reputation?: ReputationView;
  readonly announcements?: JobAnnouncements;
  readonly blobs?: HeapBlobStore;
  /** What a restarted node finds. */
  readonly from?: RequesterRig;
}

/** A requester with scripted providers around it, all in memory. */
export class RequesterRig {
  readonly clock: ManualClock;
  readonly mesh: TransportMesh;
  readonly peers: FakePeerBook;
  readonly database: MemoryDatabase;
  readonly blobs: HeapBlobStore;
  readonly grants = new BlobGrants();
  readonly metrics = new RecordingMetrics();
  readonly snapshots: FakeSnapshots;
  readonly providers: ScriptedProvider[];
  readonly identity: Identity;
  readonly requester: JobRequester;
  readonly #serving: Disposable;

  private constructor(identity: Identity, options: RequesterRigOptions) {
    const { from, announcements } = options;
    this.identity = identity;
    this.clock = from?.clock ?? new ManualClock();
    this.mesh = from?.mesh ?? new TransportMesh(this.clock);
    this.peers = from?.peers ?? new FakePeerBook();
    this.database = from?.database.clone() ?? new MemoryDatabase();
    this.blobs = from?.blobs ?? options.blobs ?? new HeapBlobStore();
    this.providers = from?.providers ?? [];
    this.snapshots = from?.snapshots ?? new FakeSnapshots();
    const transport = this.mesh.join(identity.peer);
    const { clock, database, blobs, grants, metrics, peers } = this;
    this.#serving = serveBlobs(transport, { blobs }, grants);
    this.requester = new JobRequester(
      {
        identity,
        network: { transport, peers, ...(announcements === undefined ? {} : { announcements }) },
        blobs,
        transfers: new BlobTransfers({ transport, blobs, clock, metrics }),
        snapshots: { store: this.snapshots.store, source: this.snapshots },
        grants,
        database,
        clock,
        metrics,
        random: new SystemRandom(),
        logger: new NoopLogger(),
        ...(options.receiptNotes === undefined ? {} : { receiptNotes: options.receiptNotes(database) }),
        ...(options.attemptNotes === undefined ? {} : { attemptNotes: options.attemptNotes(database) }),
        ...(options.reputation === undefined ? {} : { reputation: options.reputation }),
      },
      { ...JOB_REQUESTER_DEFAULTS, networkId: 'test', parameters: PARAMETERS, ...options.requester },
    );
  }

  static async start(options: RequesterRigOptions = {}): Promise<RequesterRig> {
    const rig = new RequesterRig(await identityOf(200), options);
    await rig.blobs.put(MODULE);
    await rig.requester.start(new AbortController().signal);
    return rig;
  }

  /** The same node after its process died: what was written is there, nothing else. */
  async restart(requester: Partial<JobRequesterOptions> = {}): Promise<RequesterRig> {
    await this.requester.stop();
    this.#serving[Symbol.dispose]();
    return RequesterRig.start({ from: this, requester });
  }

  async addProvider(script: Script = {}, record: Partial<NodeRecord> = {}): Promise<ScriptedProvider> {
    const identity = await identityOf(1 + this.providers.length);
    const forger = await identityOf(250);
    const modules = { transport: this.mesh.join(identity.peer), identity, clock: this.clock };
    const provider = new ScriptedProvider(modules, { forger, ...script });
    this.providers.push(provider);
    this.peers.add(describeRecord(identity.peer, record));
    return provider;
  }

  async draft(change: Partial<JobDraft> = {}): Promise<JobDraft> {
    const { blob, sizeBytes } = await this.blobs.put(MODULE);
    return {
      name: 'test job',
      deadlineMs: UnixMs(this.clock.nowMs() + 600_000),
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
      resources: { memoryBytes: 65_536, fuel: 1_000, wallTimeMs: 60_000, outputBytes: 10_000, logBytes: 10_000 },
      isolation: 'process',
      replication: { replicas: 1, quorum: 1, diversity: 'peer' },
      retries: 3,
      market: 'direct',
      priceCeiling: '0',
      ...change,
    };
  }

  async submit(change: Partial<JobDraft> = {}): Promise<JobId> {
    return (await this.requester.submit(await this.draft(change))).job;
  }

  submitReplicas(replicas: number, quorum: number, change: Partial<JobDraft> = {}): Promise<JobId> {
    return this.submit({ replication: { replicas, quorum, diversity: 'peer' }, ...change });
  }

  /** Waits for the end without time passing. */
  async end(job: JobId): Promise<JobView> {
    let view = await this.requester.show(job);
    for (let turn = 0; view.endedAtMs === null; turn += 1) {
      if (turn > 500) throw new Error(`still ${view.state}: ${JSON.stringify(await this.requester.explain(job))}`);
      await new Promise((resolve) => setImmediate(resolve));
      view = await this.requester.show(job);
    }
    // Its end is on disk once nobody runs it any more.
    await until(() => this.requester.counts().active === 0 || view.endedAtMs !== null);
    return this.requester.wait(job, { signal: AbortSignal.timeout(5_000) });
  }

  /** Waits until each provider has an attempt. */
  async leased(...providers: readonly ScriptedProvider[]): Promise<void> {
    await until(() => providers.every((provider) => provider.attempts.size > 0));
  }
}
