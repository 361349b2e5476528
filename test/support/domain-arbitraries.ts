import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import * as fc from 'fast-check';
import type { Commitment, CommitmentSet } from '../../src/domain/commitment.ts';
import type { GpuRequest } from '../../src/domain/gpu.ts';
import { BlobId, JobId, LeaseId, ObjectId, OfferId, PeerKey, UnixMs } from '../../src/domain/ids.ts';
import type { Job, Resources } from '../../src/domain/job.ts';
import type { Lease, LeaseAcceptance, Progress } from '../../src/domain/lease.ts';
import type { NodeRecord } from '../../src/domain/node-record.ts';
import { type Observation, SUBJECT_ROLES } from '../../src/domain/observation.ts';
import type { JobTerms, Offer } from '../../src/domain/offer.ts';
import type { ProgramNeeds } from '../../src/domain/program-needs.ts';
import {
  ATTEMPT_FAILURES,
  type Outcome,
  PROGRAM_FAILURES,
  type Receipt,
  type Result,
} from '../../src/domain/receipt.ts';
import type { Batch } from '../../src/domain/signed.ts';
import { computeObjectCid, computeRawCid, sha256 } from '../../src/lib/cid.ts';
import { wasmOf } from './workload.ts';

const PEERS = await Promise.all(
  [1, 2, 3, 4].map(async (byte) => {
    const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(byte));
    return PeerKey(peerIdFromPrivateKey(key).toString());
  }),
);

export const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const small = fc.uint8Array({ maxLength: 8 });
export const peerKeys = fc.constantFrom(...PEERS);
export const jobIds = small.map((seed) => JobId(computeObjectCid(seed).toString()));
export const leaseIds = small.map((seed) => LeaseId(computeObjectCid(seed).toString()));
const offerIds = small.map((seed) => OfferId(computeObjectCid(seed).toString()));
export const objectIds = small.map((seed) => ObjectId(computeObjectCid(seed).toString()));
export const blobIds = small.map((seed) => BlobId(computeRawCid(seed).toString()));
export const times = fc.nat({ max: 8.64e15 }).map(UnixMs);
const integers = (min = 0) => fc.integer({ min, max: Number.MAX_SAFE_INTEGER });
export const networks = fc.constantFrom('local', 'demo-1');
const prices = fc.bigInt({ min: 0n, max: 10n ** 38n }).map(String);
export const isolation = fc.constantFrom('process' as const, 'bubblewrap' as const);
const paths = fc.constantFrom('/a', '/output/model.bin', '/data/x y.csv', '/ü/…');

export const gpuRequests: fc.Arbitrary<GpuRequest> = fc.record({
  count: fc.integer({ min: 1, max: 16 }),
  minMemoryBytes: integers(),
  models: fc.uniqueArray(fc.constantFrom('h100', 'a100', 'rtx-4090', 't4'), { maxLength: 4 }),
  mig: fc.constantFrom(null, '1g.10gb', '1g.10gb+me', '1c.3g.40gb'),
});

export const resources: fc.Arbitrary<Resources> = fc.record(
  {
    memoryBytes: fc.integer({ min: 65_536, max: 2 ** 31 }),
    fuel: integers(1),
    wallTimeMs: fc.integer({ min: 1, max: 3_600_000 }),
    outputBytes: fc.integer({ min: 0, max: 2 ** 31 }),
    logBytes: fc.integer({ min: 0, max: 2 ** 30 }),
    gpus: gpuRequests,
  },
  { requiredKeys: ['memoryBytes', 'fuel', 'wallTimeMs', 'outputBytes', 'logBytes'] },
);

export const jobs: fc.Arbitrary<Job> = fc.record({
  type: fc.constant('fogproof/job@1' as const),
  network: networks,
  requester: peerKeys,
  nonce: bytes(16),
  name: fc.string({ minLength: 1, maxLength: 100 }).filter((name) => name.isWellFormed()),
  createdAtMs: times,
  deadlineMs: times,
  capabilityClass: fc.constantFrom('cpu' as const, 'tee' as const),
  workload: fc.record({
    kind: fc.constant('wasm' as const),
    module: blobIds,
    moduleSizeBytes: integers(8),
    abi: fc.constantFrom('wasi' as const, 'fogproof' as const),
    arguments: fc.array(fc.string({ maxLength: 20 }), { maxLength: 3 }),
    environment: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), fc.string({ maxLength: 20 }), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
    seed: bytes(32),
  }),
  inputs: fc.array(fc.record({ path: paths, blob: blobIds, sizeBytes: integers() }), { maxLength: 3 }),
  resources,
  isolation,
  replication: fc.record({
    replicas: fc.integer({ min: 1, max: 16 }),
    quorum: fc.integer({ min: 1, max: 16 }),
    diversity: fc.constant('peer' as const),
  }),
  retries: fc.nat({ max: 32 }),
  market: fc.constant('direct' as const),
  priceCeiling: prices,
});

/** Jobs of a command, which have no fuel. */
export const commandJobs: fc.Arbitrary<Job> = fc
  .record({
    job: jobs,
    root: fc.oneof(
      fc.record({ kind: fc.constant('archive' as const), blob: blobIds, sizeBytes: integers(1) }),
      fc.constant({ kind: 'host' as const }),
    ),
    limits: fc.record({
      cpus: fc.integer({ min: 10, max: 1_024_000 }),
      processes: fc.integer({ min: 1, max: 32_768 }),
      scratchBytes: fc.integer({ min: 4096, max: 64 * 2 ** 30 }),
    }),
  })
  .map(({ job, root, limits }) => {
    const { arguments: words, environment } = wasmOf(job.workload);
    const workload = { kind: 'command' as const, root, program: '/bin/program', arguments: words, environment, limits };
    return { ...job, workload, resources: { ...job.resources, fuel: null } };
  });

export const programNeeds: fc.Arbitrary<ProgramNeeds> = fc.record(
  {
    cpus: fc.integer({ min: 10, max: 1_024_000 }),
    processes: fc.integer({ min: 1, max: 32_768 }),
    scratchBytes: fc.integer({ min: 4096, max: 64 * 2 ** 30 }),
    hostRoot: fc.constant(true as const),
  },
  { requiredKeys: ['cpus', 'processes', 'scratchBytes'] },
);

export const terms: fc.Arbitrary<JobTerms> = fc.record(
  {
    workloadKind: fc.constant('wasm' as const),
    resources,
    isolation,
    deadlineMs: times,
    priceCeiling: prices,
    commitReveal: fc.boolean(),
    needs: programNeeds,
  },
  { requiredKeys: ['workloadKind', 'resources', 'isolation', 'deadlineMs', 'priceCeiling', 'commitReveal'] },
);
const imageDigests = small.map((seed) => `sha256:${Buffer.from(sha256(seed)).toString('hex')}`);

/** Jobs of an image. */
export const containerJobs: fc.Arbitrary<Job> = fc
  .record({
    job: commandJobs,
    image: fc.record({
      digest: imageDigests,
      manifestSizeBytes: fc.integer({ min: 1, max: 2 ** 20 }),
      config: fc.record({ digest: imageDigests, sizeBytes: fc.integer({ min: 1, max: 2 ** 20 }) }),
      layers: fc.array(
        fc.record({ digest: imageDigests, blob: blobIds, sizeBytes: fc.integer({ min: 1, max: 2 ** 30 }) }),
        { maxLength: 4 },
      ),
    }),
    entrypoint: fc.option(fc.array(fc.string({ maxLength: 20 }), { minLength: 1, maxLength: 3 })),
    workingFolder: fc.option(paths),
  })
  .map(({ job, image, entrypoint, workingFolder }) => {
    if (job.workload.kind !== 'command') throw new TypeError('a command was drawn');
    const { arguments: words, environment, limits } = job.workload;
    const workload = {
      kind: 'container' as const,
      image,
      entrypoint,
      arguments: words,
      environment,
      workingFolder,
      limits,
    };
    return { ...job, workload };
  });

/** Jobs of a model, which have no fuel either. */
export const inferenceJobs: fc.Arbitrary<Job> = fc
  .record({
    job: jobs,
    model: blobIds,
    modelSizeBytes: integers(1),
    threads: fc.integer({ min: 1, max: 64 }),
    optimization: fc.constantFrom('none' as const, 'basic' as const, 'extended' as const, 'all' as const),
    deterministic: fc.boolean(),
    batchRows: fc.option(fc.integer({ min: 2, max: 4096 }), { nil: null }),
    caching: fc.boolean(),
  })
  .map(({ job, ...options }) => {
    const workload = { kind: 'inference' as const, provider: 'cpu' as const, ...options };
    return { ...job, workload, resources: { ...job.resources, fuel: null } };
  });

export const offers: fc.Arbitrary<Offer> = fc.record({
  type: fc.constant('fogproof/offer@1' as const),
  network: networks,
  subject: objectIds,
  requester: peerKeys,
  provider: peerKeys,
  nonce: bytes(16),
  terms,
  attempts: fc.integer({ min: 1, max: 4096 }),
  price: prices,
  isolation,
  instrumenter: fc.constant('fogproof-instrument/2'),
  expiresAtMs: times,
});

export const leases: fc.Arbitrary<Lease> = fc.record({
  type: fc.constant('fogproof/lease@1' as const),
  network: networks,
  job: jobIds,
  offer: offerIds,
  requester: peerKeys,
  provider: peerKeys,
  nonce: bytes(16),
  replica: fc.nat({ max: 15 }),
  attempt: fc.nat({ max: 64 }),
  price: prices,
  issuedAtMs: times,
  durationMs: integers(100),
  renewalMs: integers(50),
  deadlineMs: times,
  commitReveal: fc.boolean(),
});

export const leaseAcceptances: fc.Arbitrary<LeaseAcceptance> = fc.record({
  type: fc.constant('fogproof/lease-acceptance@1' as const),
  lease: leaseIds,
  provider: peerKeys,
  acceptedAtMs: times,
});

export const progresses: fc.Arbitrary<Progress> = fc.record({
  type: fc.constant('fogproof/progress@1' as const),
  lease: leaseIds,
  sequence: integers(1),
  fuel: integers(),
  step: integers(),
  cpuTimeMs: integers(),
  atMs: times,
});

export const commitments: fc.Arbitrary<Commitment> = fc.record({
  type: fc.constant('fogproof/commitment@1' as const),
  job: jobIds,
  lease: leaseIds,
  provider: peerKeys,
  digest: bytes(32),
  committedAtMs: times,
});

export const commitmentSets: fc.Arbitrary<CommitmentSet> = fc.record({
  type: fc.constant('fogproof/commitment-set@1' as const),
  job: jobIds,
  commitments: fc.array(objectIds, { minLength: 1, maxLength: 16 }),
});

const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  fc.constant({ kind: 'completed' as const }),
  fc.record({
    kind: fc.constant('program-failed' as const),
    code: fc.constantFrom(...PROGRAM_FAILURES),
    detail: fc.string({ maxLength: 300 }),
  }),
  fc.record({
    kind: fc.constant('attempt-failed' as const),
    code: fc.constantFrom(...ATTEMPT_FAILURES),
    detail: fc.string({ maxLength: 300 }),
  }),
);

export const results: fc.Arbitrary<Result> = fc.record({
  type: fc.constant('fogproof/result@1' as const),
  job: jobIds,
  outcome: outcomes,
  outputs: fc.array(fc.record({ path: paths, blob: blobIds, sizeBytes: integers() }), { maxLength: 3 }),
  fuel: integers(),
  steps: integers(),
  metricsHash: bytes(32),
  instrumentedModule: fc.option(blobIds),
  instrumenter: fc.constant('fogproof-instrument/2'),
});

export const receipts: fc.Arbitrary<Receipt> = fc.record({
  type: fc.constant('fogproof/receipt@1' as const),
  network: networks,
  job: jobIds,
  lease: leaseIds,
  requester: peerKeys,
  provider: peerKeys,
  result: results,
  outputRoot: objectIds,
  salt: fc.option(bytes(32)),
  commitmentSet: fc.option(objectIds),
  checkpointRoot: fc.option(bytes(32)),
  sandbox: fc.record({
    executor: fc.constant('wasm' as const),
    isolation,
    controls: fc.array(fc.constantFrom('seccomp', 'rlimit'), { maxLength: 3 }),
    engine: fc.constant('v8 13.6'),
    gpus: fc.array(
      fc.record({
        uuid: fc.uuid().map((uuid) => `GPU-${uuid}`),
        model: fc.constantFrom('NVIDIA H100 80GB HBM3', 'NVIDIA GeForce RTX 4090'),
        memoryBytes: integers(),
        mig: fc.constantFrom(null, '1g.10gb'),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  usage: fc.record({ cpuTimeMs: integers(), wallTimeMs: integers(), peakMemoryBytes: integers() }),
  startedAtMs: times,
  finishedAtMs: times,
});

export const nodeRecords: fc.Arbitrary<NodeRecord> = fc.record({
  type: fc.constant('fogproof/node-record@1' as const),
  network: networks,
  peer: peerKeys,
  vrfPublicKey: bytes(32),
  sequence: integers(1),
  issuedAtMs: times,
  expiresAtMs: times,
  instance: bytes(16),
  addresses: fc.array(fc.constantFrom('/ip4/127.0.0.1/tcp/4717', '/ip6/::1/tcp/1'), { maxLength: 4 }),
  software: fc.constant('fogproof/0.1.0'),
  role: fc.record({ provides: fc.boolean(), requests: fc.boolean() }),
  claims: fc.record({
    claimClass: fc.constantFrom('attested' as const, 'observed' as const, 'declared' as const),
    region: fc.option(fc.constantFrom('eu-north', 'us-east')),
    cpuCores: fc.nat({ max: 1024 }),
    memoryBytes: integers(),
    diskBytes: integers(),
    gpus: fc.array(
      fc.record({ model: fc.constant('NVIDIA H100'), memoryBytes: integers(), driver: fc.constant('550') }),
      { maxLength: 2 },
    ),
  }),
  capabilities: fc.uniqueArray(fc.constantFrom('cpu' as const, 'gpu-consumer' as const), { maxLength: 2 }),
  executors: fc.array(
    fc.record({
      kind: fc.constant('wasm' as const),
      isolation: fc.uniqueArray(isolation, { maxLength: 2 }),
      instrumenter: fc.constant('fogproof-instrument/2'),
      slots: fc.nat({ max: 64 }),
    }),
    { maxLength: 1 },
  ),
  pricesPerHour: fc.array(fc.record({ capabilityClass: fc.constant('cpu' as const), price: prices }), { maxLength: 1 }),
});

const verdicts = fc.constantFrom('success' as const, 'failure' as const, 'none' as const);
export const observations: fc.Arbitrary<Observation> = fc.record({
  type: fc.constant('fogproof/observation@1' as const),
  network: networks,
  observer: peerKeys,
  subject: peerKeys,
  role: fc.constantFrom(...SUBJECT_ROLES),
  job: jobIds,
  lease: leaseIds,
  receipt: fc.option(objectIds),
  outcome: fc.record({ completion: verdicts, correctness: verdicts, timeliness: verdicts, availability: verdicts }),
  rating: fc.option(fc.integer({ min: 1, max: 5 })),
  payment: prices,
  stake: prices,
  anchor: fc.option(bytes(32)),
  observedAtMs: times,
  epoch: integers(),
});

export const batches: fc.Arbitrary<Batch> = fc.record({
  type: fc.constant('fogproof/batch@1' as const),
  itemType: fc.constantFrom('fogproof/job@1', 'fogproof/receipt@1'),
  root: bytes(32),
  size: fc.integer({ min: 1, max: 65_536 }),
});
