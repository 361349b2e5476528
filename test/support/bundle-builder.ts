import { writeBlocks } from '../../src/bundle/write-blocks.ts';
import type { Anchor } from '../../src/domain/anchor.ts';
import { BUNDLE, type Bundle, type BundleAttempt, type UnrevealedReplica } from '../../src/domain/bundle.ts';
import { COMMITMENT, COMMITMENT_SET, type Commitment, type CommitmentSet } from '../../src/domain/commitment.ts';
import { BlobId, JobId, LeaseId, ObjectId, UnixMs } from '../../src/domain/ids.ts';
import { JOB, type Job } from '../../src/domain/job.ts';
import {
  LEASE,
  LEASE_ACCEPTANCE,
  type Lease,
  type LeaseAcceptance,
  PROGRESS,
  type Progress,
} from '../../src/domain/lease.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import { RECEIPT, type Receipt, type Result } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import { LocalIdentity } from '../../src/identity/local-identity.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeObjectCid, computeRawCid } from '../../src/lib/cid.ts';
import { computeCommitmentDigest, computeOutputRoot, createCommitmentSet } from '../../src/proofs/commitment.ts';
import { signObject, signObjects } from '../../src/proofs/signed-object.ts';
import { type AnchorPlan, buildAnchors } from './anchor-builder.ts';
import {
  type BuiltAttestation,
  buildAttestation,
  type ConfidentialPlan,
  describeConfidential,
} from './attestation-builder.ts';
import { createLease } from './bundle-lease.ts';
import { type BuiltChain, buildChain, buildLine, type CheckpointPlan } from './checkpoint-builder.ts';

/** Parties with fixed keys: 0 is the requester, the others are providers. */
const PARTIES = await Promise.all(
  [1, 2, 3, 4, 5, 6].map((byte) => LocalIdentity.fromSeed(new Uint8Array(32).fill(byte))),
);
export function party(index: number): LocalIdentity {
  const identity = PARTIES[index];
  if (identity === undefined) throw new RangeError(`no party ${index}`);
  return identity;
}

export const START_MS = 1_700_000_000_000;
const MODULE = encodeUtf8('\0asm module');
const INPUT = encodeUtf8('1,2,3\n');
const OUTPUTS = { '/model.bin': encodeUtf8('weights'), '/report.txt': encodeUtf8('accuracy 0.96') };

/** Every blob of the built job, by id. */
export const BLOBS: ReadonlyMap<BlobId, Uint8Array> = new Map(
  [MODULE, INPUT, ...Object.values(OUTPUTS)].map((bytes) => [blobOf(bytes), bytes]),
);

function blobOf(bytes: Uint8Array): BlobId {
  return BlobId(computeRawCid(bytes).toString());
}

type Change<Value> = (value: Value, replica: number) => Value;

/** Changes made before an object is signed: a party that lies, with its own key. */
export interface Lies {
  readonly job?: Change<Job>;
  readonly lease?: Change<Lease>;
  readonly acceptance?: Change<LeaseAcceptance>;
  readonly progress?: Change<Progress>;
  /** Before the output root is computed. */
  readonly result?: Change<Result>;
  readonly receipt?: Change<Receipt>;
  readonly commitment?: Change<Commitment>;
  readonly set?: Change<CommitmentSet>;
  /** The set that one provider signs. */
  readonly setSignature?: Change<CommitmentSet>;
  /** After the batch is made; called with the place of the anchor. */
  readonly anchor?: Change<Anchor>;
  readonly bundle?: Change<Bundle>;
  /** Index of the party that signs instead of the right one. */
  readonly signers?: Partial<
    Record<'job' | 'lease' | 'acceptance' | 'progress' | 'receipt' | 'commitment' | 'setSignature', number>
  >;
}

export interface BuildOptions {
  readonly replicas?: number;
  /** Replicas that commit and never reveal. */
  readonly withheld?: readonly number[];
  /** Replicas that never commit, as replacements that came after the first reveal. */
  readonly late?: readonly number[];
  /** How the requester signed the job: alone, or with another job under one batch signature. */
  readonly jobSigning?: 'alone' | 'batch';
  /** Party that runs each replica; by default replica n is party n + 1. */
  readonly providers?: readonly number[];
  readonly withProgress?: boolean;
  readonly content?: 'evidence' | 'outputs' | 'everything';
  /** Batches that receipts are anchored in; by default none. */
  readonly anchors?: readonly AnchorPlan[];
  /** Checkpoints of each attempt; by default none. */
  readonly checkpoints?: CheckpointPlan;
  /** Evidence of each attempt; by default the job is not confidential. */
  readonly confidential?: ConfidentialPlan;
  readonly lies?: Lies;
}

export interface BuiltBundle {
  readonly job: Signed<Job>;
  readonly bundle: Bundle;
  /** Checkpoint chains and evidence that receipts name. */
  readonly chains: ReadonlyMap<BlobId, Uint8Array>;
}

const keep = <Value>(value: Value): Value => value;

/** A whole, honest bundle, but for the lies asked for. */
export async function buildBundle(options: BuildOptions = {}): Promise<BuiltBundle> {
  const { replicas = 1, withheld = [], late = [], lies = {}, content = 'outputs' } = options;
  const job = await signJob(options);
  const drafts = await Promise.all(Array.from({ length: replicas }, (_, replica) => runReplica(job, replica, options)));
  const set = (lies.set ?? keep)(
    createCommitmentSet(
      JobId(job.id),
      drafts.filter(({ replica }) => !late.includes(replica)).map(({ commitment }) => commitment.id),
    ),
    0,
  );
  const isCommitted = replicas > 1;
  const setId = ObjectId(computeObjectCid(encodeObject(COMMITMENT_SET, set)).toString());
  const attempts: BundleAttempt[] = [];
  const unrevealed: UnrevealedReplica[] = [];
  const receipts: ObjectId[] = [];
  const chains = new Map<BlobId, Uint8Array>();
  for (const draft of drafts) {
    const hasCommitted = isCommitted && !late.includes(draft.replica);
    const setSignature = hasCommitted ? await signSet(draft, set, lies) : null;
    if (withheld.includes(draft.replica)) {
      unrevealed.push({ lease: draft.lease.wire, commitment: draft.commitment.wire, setSignature });
      continue;
    }
    const receipt = await signReceipt(draft, { job, set: hasCommitted ? setId : null, lies });
    receipts.push(ObjectId(receipt.id));
    if (draft.chain !== undefined) chains.set(draft.chain.checkpointChain.blob, draft.chain.bytes);
    if (draft.attested !== undefined) chains.set(...draft.attested.evidence);
    attempts.push({
      lease: draft.lease.wire,
      acceptance: draft.acceptance.wire,
      receipt: receipt.wire,
      commitment: hasCommitted ? draft.commitment.wire : null,
      setSignature,
      ...(options.withProgress === true ? { lastProgress: draft.progress.wire } : {}),
      ...(draft.inherited === undefined ? {} : { inherited: draft.inherited }),
      ...(draft.attested === undefined ? {} : { release: draft.attested.release.wire }),
    });
  }
  const bundle: Bundle = {
    type: 'fogproof/bundle@1',
    job: job.wire,
    attempts,
    commitmentSet: isCommitted ? set : null,
    unrevealed,
    missingReplicas: [],
    blobs: [...listBlobs(content), ...[...chains].map(listChain)],
    ...(options.anchors === undefined ? {} : { anchors: anchorAll(receipts, options.anchors, lies) }),
    exportedAtMs: UnixMs(START_MS + 60_000),
  };
  return { job, bundle: (lies.bundle ?? keep)(bundle, 0), chains };
}

function listChain([blob, bytes]: readonly [BlobId, Uint8Array]): Bundle['blobs'][number] {
  return { blob, sizeBytes: bytes.length, included: true };
}

function anchorAll(receipts: readonly ObjectId[], plans: readonly AnchorPlan[], lies: Lies): Anchor[] {
  return plans.flatMap((plan) => buildAnchors(receipts, plan)).map(lies.anchor ?? keep);
}

async function signJob(options: BuildOptions): Promise<Signed<Job>> {
  const { replicas = 1, lies = {}, jobSigning, checkpoints, confidential } = options;
  const plain = { ...createJob(replicas), ...describeCheckpoints(checkpoints) };
  const terms = confidential === undefined ? plain : { ...plain, ...describeConfidential(plain) };
  const job = (lies.job ?? keep)(terms, 0);
  const signer = signerOf(lies, 'job', 0);
  if (jobSigning !== 'batch') return await signObject(JOB, job, signer);
  const [first] = await signObjects(JOB, [job, { ...job, name: 'another of the batch' }], signer);
  if (first === undefined) throw new RangeError('two jobs were signed');
  return first;
}

function describeCheckpoints(plan: CheckpointPlan | undefined): Pick<Job, 'checkpoints'> {
  if (plan === undefined) return {};
  return { checkpoints: { schedule: { kind: 'steps', every: plan.every }, holder: null, sealed: false } };
}

/** The bytes of a bundle file. */
export async function packBundle(bundle: Bundle, chains: BuiltBundle['chains'] = new Map()): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const read = async (blob: BlobId, offset: number, length: number) =>
    (BLOBS.get(blob) ?? chains.get(blob))?.subarray(offset, offset + length);
  for await (const piece of writeBlocks(bundle, read)) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

export function encodeRoot(bundle: Bundle): Uint8Array {
  return encodeObject(BUNDLE, bundle);
}

function signerOf(lies: Lies, object: keyof NonNullable<Lies['signers']>, usual: number): LocalIdentity {
  return party(lies.signers?.[object] ?? usual);
}

function createJob(replicas: number): Job {
  return {
    type: 'fogproof/job@1',
    network: 'test',
    requester: party(0).peer,
    nonce: new Uint8Array(16).fill(7),
    name: 'digits',
    createdAtMs: UnixMs(START_MS),
    deadlineMs: UnixMs(START_MS + 600_000),
    capabilityClass: 'cpu',
    workload: {
      kind: 'wasm',
      module: blobOf(MODULE),
      moduleSizeBytes: MODULE.length,
      abi: 'fogproof',
      arguments: [],
      environment: {},
      seed: new Uint8Array(32).fill(9),
    },
    inputs: [{ path: '/data.csv', blob: blobOf(INPUT), sizeBytes: INPUT.length }],
    resources: { memoryBytes: 1 << 20, fuel: 1_000_000, wallTimeMs: 30_000, outputBytes: 1024, logBytes: 1024 },
    isolation: 'process',
    replication: { replicas, quorum: Math.floor(replicas / 2) + 1, diversity: 'peer' },
    retries: 1,
    market: 'direct',
    priceCeiling: '10',
  };
}

function createResult(job: JobId): Result {
  return {
    type: 'fogproof/result@1',
    job,
    outcome: { kind: 'completed' },
    outputs: Object.entries(OUTPUTS).map(([path, bytes]) => ({ path, blob: blobOf(bytes), sizeBytes: bytes.length })),
    fuel: 500_000,
    steps: 10,
    metricsHash: new Uint8Array(32).fill(4),
    instrumentedModule: blobOf(encodeUtf8('instrumented')),
    instrumenter: 'fogproof-instrument/2',
  };
}

interface Draft {
  readonly replica: number;
  readonly provider: number;
  readonly lease: Signed<Lease>;
  readonly acceptance: Signed<LeaseAcceptance>;
  readonly progress: Signed<Progress>;
  readonly result: Result;
  readonly salt: Uint8Array;
  readonly commitment: Signed<Commitment>;
  readonly chain: BuiltChain | undefined;
  readonly attested: BuiltAttestation | undefined;
  readonly inherited: BundleAttempt['inherited'];
}

async function createDraftLease(
  job: Signed<Job>,
  replica: number,
  { provider, plan }: { readonly provider: number; readonly plan: CheckpointPlan | undefined },
): Promise<{ readonly value: Lease; readonly inherited: BundleAttempt['inherited'] }> {
  const value = createLease(job, { replica, provider: party(provider), startMs: START_MS });
  if (plan === undefined) return { value, inherited: undefined };
  const held = { ...value, snapshotHolder: party(0).peer };
  const line = await buildLine(job, held, { plan, requester: party(0), atMs: START_MS + 3_000 });
  if (line.resume === undefined) return { value: held, inherited: line.inherited };
  return { value: { ...held, attempt: plan.before?.length ?? 0, resume: line.resume }, inherited: line.inherited };
}

async function runReplica(
  job: Signed<Job>,
  replica: number,
  { providers, checkpoints: plan, confidential, lies = {} }: BuildOptions,
): Promise<Draft> {
  const provider = providers?.[replica] ?? replica + 1;
  const { value, inherited } = await createDraftLease(job, replica, { provider, plan });
  const lease = await signObject(LEASE, (lies.lease ?? keep)(value, replica), signerOf(lies, 'lease', 0));
  const id = LeaseId(lease.id);
  const acceptance: LeaseAcceptance = {
    type: 'fogproof/lease-acceptance@1',
    lease: id,
    provider: party(provider).peer,
    acceptedAtMs: UnixMs(START_MS + 1_100),
  };
  const progress: Progress = {
    type: 'fogproof/progress@1',
    lease: id,
    sequence: 5,
    fuel: 250_000,
    step: 5,
    cpuTimeMs: 900,
    atMs: UnixMs(START_MS + 15_000),
  };
  const salt = new Uint8Array(32).fill(100 + replica);
  const result = (lies.result ?? keep)(createResult(JobId(job.id)), replica);
  const commitment: Commitment = {
    type: 'fogproof/commitment@1',
    job: JobId(job.id),
    lease: id,
    provider: party(provider).peer,
    digest: computeCommitmentDigest({ lease: id, outputRoot: computeOutputRoot(result), salt }),
    committedAtMs: UnixMs(START_MS + 21_000),
  };
  return {
    replica,
    provider,
    lease,
    salt,
    result,
    inherited,
    attested:
      confidential === undefined
        ? undefined
        : await buildAttestation(job, lease, {
            plan: confidential,
            requester: party(0),
            result,
            replica,
            atMs: START_MS + 1_500,
          }),
    chain: plan === undefined ? undefined : buildChain(job, lease, { plan, result, atMs: START_MS + 3_000 }),
    acceptance: await signObject(
      LEASE_ACCEPTANCE,
      (lies.acceptance ?? keep)(acceptance, replica),
      signerOf(lies, 'acceptance', provider),
    ),
    progress: await signObject(
      PROGRESS,
      (lies.progress ?? keep)(progress, replica),
      signerOf(lies, 'progress', provider),
    ),
    commitment: await signObject(
      COMMITMENT,
      (lies.commitment ?? keep)(commitment, replica),
      signerOf(lies, 'commitment', provider),
    ),
  };
}

async function signSet({ replica, provider }: Draft, set: CommitmentSet, lies: Lies) {
  const signed = await signObject(
    COMMITMENT_SET,
    (lies.setSignature ?? keep)(set, replica),
    signerOf(lies, 'setSignature', provider),
  );
  return signed.wire;
}

async function signReceipt(
  draft: Draft,
  { job, set, lies }: { readonly job: Signed<Job>; readonly set: ObjectId | null; readonly lies: Lies },
): Promise<Signed<Receipt>> {
  const receipt: Receipt = {
    type: 'fogproof/receipt@1',
    network: 'test',
    job: JobId(job.id),
    lease: LeaseId(draft.lease.id),
    requester: job.value.requester,
    provider: party(draft.provider).peer,
    result: draft.result,
    outputRoot: computeOutputRoot(draft.result),
    salt: set === null ? null : draft.salt,
    commitmentSet: set,
    checkpointRoot: draft.chain?.checkpointRoot ?? null,
    ...(draft.chain === undefined ? {} : { checkpointChain: draft.chain.checkpointChain }),
    ...(draft.attested === undefined ? {} : { attestation: draft.attested.attestation }),
    sandbox: { executor: 'wasm', isolation: 'process', controls: ['permission-model'], engine: 'v8' },
    usage: { cpuTimeMs: 900, wallTimeMs: 1_000, peakMemoryBytes: 65_536 },
    startedAtMs: UnixMs(START_MS + 2_000),
    finishedAtMs: UnixMs(START_MS + 20_000),
  };
  return await signObject(
    RECEIPT,
    (lies.receipt ?? keep)(receipt, draft.replica),
    signerOf(lies, 'receipt', draft.provider),
  );
}

function listBlobs(content: 'evidence' | 'outputs' | 'everything'): Bundle['blobs'] {
  return [
    ...Object.values(OUTPUTS).map((bytes) => ({ bytes, included: content !== 'evidence' })),
    { bytes: MODULE, included: content === 'everything' },
    { bytes: INPUT, included: content === 'everything' },
  ].map(({ bytes, included }) => ({ blob: blobOf(bytes), sizeBytes: bytes.length, included }));
}
