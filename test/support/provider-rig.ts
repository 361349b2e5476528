import { PackedSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import type { AttestRequest, AttestResponse } from '../../src/domain/confidential.ts';
import { BlobId, JobId, LeaseId, ObjectId, OfferId, UnixMs } from '../../src/domain/ids.ts';
import { JOB, type Job } from '../../src/domain/job.ts';
import { LEASE, type Lease } from '../../src/domain/lease.ts';
import type { InlineBlob, JobRequest, JobResponse, OfferAsk, OfferResponse } from '../../src/domain/messages.ts';
import type { NetworkParameters } from '../../src/domain/network-definition.ts';
import { type JobTerms, OFFER, type Offer } from '../../src/domain/offer.ts';
import { findNeeds } from '../../src/domain/program-needs.ts';
import { BATCH, type Signed } from '../../src/domain/signed.ts';
import { LocalIdentity } from '../../src/identity/local-identity.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeRawCid } from '../../src/lib/cid.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { JobAnnouncements, PeerTransport } from '../../src/network/interface.ts';
import { openSigned, packSigned, signObjects } from '../../src/proofs/signed-object.ts';
import type { GpuSource } from '../../src/sandbox/gpu/interface.ts';
import type { HostCapacity } from '../../src/sandbox/interface.ts';
import type { AttemptNotes } from '../../src/scheduler/attempt-notes.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import { JobProvider } from '../../src/scheduler/provider/job-provider.ts';
import { JOB_PROVIDER_DEFAULTS, type JobProviderOptions } from '../../src/scheduler/provider/options.ts';
import type { JobProviderModules } from '../../src/scheduler/provider/provider-parts.ts';
import type { ReceiptNotes } from '../../src/scheduler/receipt-notes.ts';
import { SnapshotFetcher } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import { NoopAuditTrail } from '../../src/telemetry/audit/noop-audit-trail.ts';
import type { AuditTrail, Counter, Logger, MetricsRegistry } from '../../src/telemetry/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { MemoryDatabase } from './memory-database.ts';
import { MemoryDisk } from './memory-disk.ts';
import { HeapBlobStore } from './provider-blobs.ts';
import { SteppedClock, settle } from './provider-clock.ts';
import { ScriptedExecutor } from './provider-executor.ts';
import { Switchboard } from './provider-transport.ts';

export const NETWORK = 'test';
export const PARAMETERS: NetworkParameters = {
  leaseDurationMs: 4_000,
  leaseRenewalMs: 1_000,
  offerTtlMs: 5_000,
  recordTtlMs: 60_000,
  beaconRoundMs: 1_000,
  epochRounds: 10,
};
export const MODULE = encodeUtf8('\0asm module');
export const MODULE_ID = blobIdOf(MODULE);
/** With which the test requester lets its sealed snapshots be sealed. */
export const SNAPSHOT_KEY = new Uint8Array(32).fill(0x5e);
/** What the test requester asks for where a job is confidential. */
export const SIMULATED_ONLY: NonNullable<JobTerms['confidential']> = { kinds: ['simulated'], gpus: false };
const random = new SystemRandom();

export function blobIdOf(bytes: Uint8Array): BlobId {
  return BlobId(computeRawCid(bytes).toString());
}

const identities = new Map<number, Promise<LocalIdentity>>();

/** Deriving one takes as long as many a test. */
export async function identityOf(byte: number): Promise<LocalIdentity> {
  const identity = identities.get(byte) ?? LocalIdentity.fromSeed(new Uint8Array(32).fill(byte));
  identities.set(byte, identity);
  return await identity;
}

/** Sums by name and labels. */
export class SummingMetrics implements MetricsRegistry {
  readonly sums = new Map<string, number>();

  counter(name: string): Counter {
    return {
      increment: (labels = {}, by = 1) => {
        const key = [name, ...Object.values(labels)].join(' ');
        this.sums.set(key, (this.sums.get(key) ?? 0) + by);
      },
    };
  }

  gauge(): { set: () => void } {
    return { set: () => undefined };
  }

  histogram(): { observe: () => void } {
    return { observe: () => undefined };
  }

  async render(): Promise<string> {
    return '';
  }
}

export interface ProviderRigOptions {
  readonly provider?: Partial<JobProviderOptions>;
  readonly database?: MemoryDatabase;
  readonly blobs?: HeapBlobStore;
  /** Told of every lease that ends. */
  readonly receiptNotes?: (database: MemoryDatabase) => ReceiptNotes;
  /** Told of every attempt that gives a result. */
  readonly attemptNotes?: (database: MemoryDatabase) => AttemptNotes;
  readonly announcements?: JobAnnouncements;
  readonly clock?: SteppedClock;
  readonly executor?: ScriptedExecutor;
  readonly switchboard?: Switchboard;
  /** Byte of the provider's seed. */
  readonly seed?: number;
  /** Where its snapshots are; without, it keeps none. */
  readonly disk?: MemoryDisk;
  /** Bytes that snapshots may take. */
  readonly snapshotBytes?: number;
  /** Without, slots are the only limit. */
  readonly host?: HostCapacity;
  /** Without, no GPUs are lent. */
  readonly gpus?: GpuSource;
  /** Without, it runs in no trusted execution environment. */
  readonly confidential?: JobProviderModules['confidential'];
  readonly logger?: Logger;
  /** Without, nobody keeps what was decided. */
  readonly audit?: AuditTrail;
}

/** A provider on its own, with everything around it in memory. */
export class ProviderRig {
  readonly clock: SteppedClock;
  readonly executor: ScriptedExecutor;
  readonly database: MemoryDatabase;
  readonly switchboard: Switchboard;
  readonly blobs: HeapBlobStore;
  readonly grants = new BlobGrants();
  readonly metrics = new SummingMetrics();
  readonly identity: LocalIdentity;
  readonly transport: PeerTransport;
  readonly provider: JobProvider;
  readonly parameters: NetworkParameters;
  readonly disk: MemoryDisk | undefined;
  readonly snapshots: PackedSnapshotStore | undefined;
  connections = 1;

  private constructor(identity: LocalIdentity, options: ProviderRigOptions) {
    this.identity = identity;
    this.clock = options.clock ?? new SteppedClock();
    this.executor = options.executor ?? new ScriptedExecutor();
    this.parameters = options.provider?.parameters ?? PARAMETERS;
    this.database = options.database ?? new MemoryDatabase();
    this.blobs = options.blobs ?? new HeapBlobStore();
    this.switchboard = options.switchboard ?? new Switchboard();
    this.transport = this.switchboard.join(identity.peer);
    const reachability = {
      status: () => ({ connections: this.connections, isDegraded: false, listen: ['/ip4/127.0.0.1/tcp/1'] }),
    };
    const { clock, database, blobs, grants, metrics, transport, executor } = this;
    const logger = options.logger ?? new NoopLogger();
    const common = { database, clock, logger, metrics };
    this.disk = options.disk;
    const limits = { folder: 'memory', maxBytes: options.snapshotBytes ?? 2 ** 30 };
    const store = options.disk && new PackedSnapshotStore({ ...common, disk: options.disk }, limits);
    this.snapshots = store;
    const fetcher = store && new SnapshotFetcher({ ...common, transport, store });
    this.provider = new JobProvider(
      {
        identity,
        transport,
        blobs,
        transfers: new BlobTransfers({ transport, blobs, clock, metrics }),
        grants,
        executors: [executor],
        database,
        reachability,
        audit: options.audit ?? new NoopAuditTrail(),
        clock,
        random,
        logger,
        metrics,
        ...(options.confidential === undefined ? {} : { confidential: options.confidential }),
        ...(store === undefined || fetcher === undefined ? {} : { snapshots: { store, fetcher } }),
        ...(options.gpus === undefined ? {} : { gpus: options.gpus }),
        ...(options.host === undefined ? {} : { host: options.host }),
        ...(options.announcements === undefined ? {} : { announcements: options.announcements }),
        ...(options.receiptNotes === undefined ? {} : { receiptNotes: options.receiptNotes(database) }),
        ...(options.attemptNotes === undefined ? {} : { attemptNotes: options.attemptNotes(database) }),
      },
      { ...JOB_PROVIDER_DEFAULTS, networkId: NETWORK, parameters: PARAMETERS, slots: 2, ...options.provider },
    );
  }

  static async start(options: ProviderRigOptions = {}): Promise<ProviderRig> {
    const rig = new ProviderRig(await identityOf(options.seed ?? 1), options);
    await rig.snapshots?.start();
    const stores = { blobs: rig.blobs, ...(rig.snapshots === undefined ? {} : { snapshots: rig.snapshots }) };
    serveBlobs(rig.transport, stores, rig.grants);
    await rig.provider.start();
    return rig;
  }

  async requester(seed = 9): Promise<TestRequester> {
    return new TestRequester(await identityOf(seed), this);
  }
}

export interface LeasedWork {
  readonly jobs: readonly Signed<Job>[];
  readonly leases: readonly Signed<Lease>[];
  readonly offer: Signed<Offer>;
}

/** Speaks the requester's side by hand, so that a test can also speak it wrongly. */
export class TestRequester {
  readonly identity: LocalIdentity;
  readonly rig: ProviderRig;
  readonly transport: PeerTransport;
  readonly blobs = new HeapBlobStore();
  readonly grants = new BlobGrants();

  constructor(identity: LocalIdentity, rig: ProviderRig) {
    this.identity = identity;
    this.rig = rig;
    this.transport = rig.switchboard.join(identity.peer);
    serveBlobs(this.transport, { blobs: this.blobs }, this.grants);
  }

  get peer() {
    return this.identity.peer;
  }

  describeJob(change: Partial<Job> = {}): Job {
    const nowMs = this.rig.clock.nowMs();
    return {
      type: 'fogproof/job@1',
      network: NETWORK,
      requester: this.peer,
      nonce: random.bytes(16),
      name: 'test',
      createdAtMs: UnixMs(nowMs),
      deadlineMs: UnixMs(nowMs + 3_600_000),
      capabilityClass: 'cpu',
      workload: {
        kind: 'wasm',
        module: MODULE_ID,
        moduleSizeBytes: MODULE.length,
        abi: 'fogproof',
        arguments: [],
        environment: {},
        seed: new Uint8Array(32),
      },
      inputs: [],
      resources: { memoryBytes: 65_536, fuel: 1_000, wallTimeMs: 60_000, outputBytes: 1_000_000, logBytes: 1_000_000 },
      isolation: 'process',
      replication: { replicas: 1, quorum: 1, diversity: 'peer' },
      retries: 0,
      market: 'direct',
      priceCeiling: '0',
      ...change,
    };
  }

  async signJobs(...jobs: readonly Job[]): Promise<Signed<Job>[]> {
    return await signObjects(JOB, jobs, this.identity);
  }

  async requestOffer(request: Partial<OfferAsk> & { readonly subject: ObjectId; readonly terms: JobTerms }) {
    const whole = { op: 'ask' as const, attempts: 1, ...request };
    return await this.transport.request(this.rig.identity.peer, 'offer', whole);
  }

  /** Asks for an offer on jobs that were signed together (or one), as a requester would. */
  async ask(jobs: readonly Signed<Job>[]): Promise<OfferResponse> {
    const [first] = jobs;
    if (first === undefined) throw new TypeError('no job');
    const subject = await subjectOf(first);
    return await this.requestOffer({ subject, terms: termsOf(first.value), attempts: jobs.length });
  }

  async takeOffer(jobs: readonly Signed<Job>[]): Promise<Signed<Offer>> {
    const answer = await this.ask(jobs);
    if (answer.kind !== 'offer') throw new TypeError(`no offer: ${JSON.stringify(answer)}`);
    return await openSigned(OFFER, answer.offer, this.rig.identity.peer);
  }

  describeLease(job: Signed<Job>, offer: Signed<Offer>, change: Partial<Lease> = {}): Lease {
    return {
      type: 'fogproof/lease@1',
      network: NETWORK,
      job: JobId(job.id),
      offer: OfferId(offer.id),
      requester: this.peer,
      provider: this.rig.identity.peer,
      nonce: random.bytes(16),
      replica: 0,
      attempt: 0,
      price: offer.value.price,
      issuedAtMs: UnixMs(this.rig.clock.nowMs()),
      durationMs: this.rig.parameters.leaseDurationMs,
      renewalMs: this.rig.parameters.leaseRenewalMs,
      deadlineMs: job.value.deadlineMs,
      commitReveal: job.value.replication.replicas > 1,
      ...(job.value.checkpoints === undefined ? {} : { snapshotHolder: job.value.checkpoints.holder ?? this.peer }),
      ...(job.value.checkpoints?.sealed === true ? { snapshotsSealed: true } : {}),
      ...change,
    };
  }

  async signLeases(jobs: readonly Signed<Job>[], offer: Signed<Offer>, change: Partial<Lease> = {}) {
    const leases = jobs.map((job) => this.describeLease(job, offer, change));
    return await signObjects(LEASE, leases, this.identity);
  }

  /** Offer and signed leases for some jobs; by default one. */
  async prepare(jobs?: readonly Signed<Job>[], change: Partial<Lease> = {}): Promise<LeasedWork> {
    const signed = jobs ?? (await this.signJobs(this.describeJob()));
    const offer = await this.takeOffer(signed);
    return { jobs: signed, offer, leases: await this.signLeases(signed, offer, change) };
  }

  leaseRequest(work: Pick<LeasedWork, 'jobs' | 'leases'>, inline: readonly Uint8Array[] = [MODULE]): JobRequest {
    const inlineBlobs: InlineBlob[] = inline.map((bytes) => ({ blob: blobIdOf(bytes), bytes }));
    const snapshotKeys = work.leases
      .filter((_, index) => work.jobs[index]?.value.checkpoints?.sealed === true)
      .map((lease) => ({ lease: leaseIdOf(lease), key: SNAPSHOT_KEY }));
    const keys = snapshotKeys.length === 0 ? {} : { snapshotKeys };
    return { op: 'lease', jobs: packSigned(work.jobs), leases: packSigned(work.leases), inlineBlobs, ...keys };
  }

  /** Sends a request and collects what is answered. */
  send(request: JobRequest): AnswerLog {
    return new AnswerLog((signal) => this.transport.stream(this.rig.identity.peer, 'job', request, { signal }));
  }

  async sendOne(request: JobRequest): Promise<JobResponse> {
    return await this.transport.request(this.rig.identity.peer, 'job', request);
  }

  async attest(request: AttestRequest): Promise<AttestResponse> {
    return await this.transport.request(this.rig.identity.peer, 'attest', request);
  }

  lease(work: LeasedWork, inline?: readonly Uint8Array[]): AnswerLog {
    return this.send(this.leaseRequest(work, inline));
  }
}

/** The answers to one request, as they come. */
export class AnswerLog {
  readonly responses: JobResponse[] = [];
  readonly done: Promise<void>;
  readonly #controller = new AbortController();

  constructor(open: (signal: AbortSignal) => AsyncIterable<JobResponse>) {
    this.done = this.#read(open(this.#controller.signal));
    this.done.catch(() => undefined);
  }

  async #read(responses: AsyncIterable<JobResponse>): Promise<void> {
    for await (const response of responses) this.responses.push(response);
  }

  /** As when the connection drops. */
  drop(): void {
    this.#controller.abort();
  }

  get events() {
    return this.responses.flatMap((response) => (response.kind === 'events' ? response.events : []));
  }

  /** Kinds of events, in order. */
  get kinds(): string[] {
    return this.events.map(({ event }) => (event.kind === 'phase' ? event.phase : event.kind));
  }

  get refusal(): string | undefined {
    const [first] = this.responses;
    return first?.kind === 'refused' ? first.refusal.code : undefined;
  }

  find<Kind extends JobResponse['kind']>(kind: Kind): Extract<JobResponse, { kind: Kind }> | undefined {
    return this.responses.find((response) => response.kind === kind) as
      | Extract<JobResponse, { kind: Kind }>
      | undefined;
  }

  /** Waits, in turns of the loop, until the answers fulfil a condition. */
  async until(isThere: (log: this) => boolean): Promise<this> {
    for (let turn = 0; turn < 500 && !isThere(this); turn += 1) await settle(1);
    if (!isThere(this)) throw new TypeError(`never came: ${JSON.stringify(this.responses.map(({ kind }) => kind))}`);
    return this;
  }
}

export async function subjectOf(job: Signed<Job>): Promise<ObjectId> {
  if (job.wire.kind === 'envelope') return job.id;
  return (await openSigned(BATCH, { kind: 'envelope', envelope: job.wire.root })).id;
}

export function termsOf(job: Job): JobTerms {
  const needs = findNeeds(job.workload);
  return {
    workloadKind: job.workload.kind,
    resources: job.resources,
    isolation: job.isolation,
    deadlineMs: job.deadlineMs,
    priceCeiling: job.priceCeiling,
    commitReveal: job.replication.replicas > 1,
    ...(needs === null ? {} : { needs }),
    ...(job.priority === undefined ? {} : { priority: job.priority }),
    ...(job.confidential === undefined ? {} : { confidential: SIMULATED_ONLY }),
  };
}

export function leaseIdOf(lease: Signed<Lease>): LeaseId {
  return LeaseId(lease.id);
}
