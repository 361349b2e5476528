import { writeFile } from 'node:fs/promises';
import type { RawBlock } from '../../src/bundle/collect-snapshots.ts';
import { writeBlocks } from '../../src/bundle/write-blocks.ts';
import type { Bundle, BundleAttempt } from '../../src/domain/bundle.ts';
import { CHECKPOINT_CHAIN } from '../../src/domain/checkpoint.ts';
import { BlobId, JobId, LeaseId, OfferId, UnixMs } from '../../src/domain/ids.ts';
import { type CheckpointSchedule, JOB, type Job } from '../../src/domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease } from '../../src/domain/lease.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import { RECEIPT, type Receipt } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import { SNAPSHOT, type SnapshotBody, type SnapshotState } from '../../src/domain/snapshot.ts';
import { encodeHex, encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeRawId, formatRawId, sha256 } from '../../src/lib/cid.ts';
import {
  type ChainLink,
  computeCheckpointRoot,
  computeHeads,
  computeInputRoot,
  computeStartHead,
  encodeLinks,
} from '../../src/proofs/checkpoint-chain.ts';
import { computeOutputRoot } from '../../src/proofs/commitment.ts';
import { createPlainSnapshot } from '../../src/proofs/plain-snapshot.ts';
import { signObject } from '../../src/proofs/signed-object.ts';
import { listPieces } from '../../src/proofs/state-pieces.ts';
import type { ExecutionResult, Executor, ResumeState, StateCheckpoint } from '../../src/sandbox/interface.ts';
import { INSTRUMENTER } from '../../src/wasm/constants.ts';
import { party, START_MS } from './bundle-builder.ts';
import { KeepingSink, listPieceKeys, type PieceStore } from './checkpoint-sink.ts';
import { steppingWat } from './program.ts';
import { createTask } from './sandbox.ts';
import { assembleWat } from './wat.ts';

/** Pages of `mixingProgram`, of which it writes into all but the last. */
export const MIXING_PAGES = 4;

/** Writes into its pages in every step, from what is there and from random numbers; ends after so many. */
export function mixingProgram(steps: number): ReplayProgram {
  const wat = steppingWat({
    rest: '(global $step (mut i32) (i32.const 0))',
    init: '(call $random (i32.const 1024) (i32.const 64)) (i32.const 0)',
    step: `(local $page i32) (local $at i32)
      (global.set $step (i32.add (global.get $step) (i32.const 1)))
      (loop $pages
        (local.set $at
          (i32.add (i32.mul (local.get $page) (i32.const 65536)) (i32.mul (global.get $step) (i32.const 512))))
        (i32.store (local.get $at) (i32.add (i32.load (i32.const 1024)) (i32.load offset=512 (local.get $at))))
        (call $random (i32.add (local.get $at) (i32.const 8)) (i32.const 16))
        (local.set $page (i32.add (local.get $page) (i32.const 1)))
        (br_if $pages (i32.lt_u (local.get $page) (i32.const ${MIXING_PAGES - 1}))))
      (call $metric (i32.const 0) (i32.const 5) (f64.convert_i32_u (i32.load (i32.const 1024))))
      (call $output_write (i32.const 1024) (i32.const 100))
      (i32.ge_u (global.get $step) (i32.const ${steps}))`,
  });
  const module = assembleWat(wat.replace('(memory (export "memory") 1)', `(memory (export "memory") ${MIXING_PAGES})`));
  return { schedule: { kind: 'steps', every: 2 }, input: encodeUtf8('input'), module };
}

/** A program with its schedule, run by a real executor and packed into a bundle file. */
export interface ReplayProgram {
  readonly module: Uint8Array;
  readonly schedule: CheckpointSchedule;
  readonly input?: Uint8Array;
  /** By default `/data`. */
  readonly inputPath?: string;
  /** By default a stepping module. */
  readonly abi?: 'wasi';
  /** The checkpoint at which the recorded run is halted, counted from 0. */
  readonly haltAt?: number;
}

export interface RecordedRun {
  /** The start and every checkpoint after it. */
  readonly states: readonly StateCheckpoint[];
  readonly result: ExecutionResult;
  readonly pieces: PieceStore;
}

const RESOURCES = { memoryBytes: 2 ** 25, fuel: 1e9, wallTimeMs: 30_000, outputBytes: 1 << 20, logBytes: 100_000 };

const blobOf = (bytes: Uint8Array): BlobId => BlobId(computeRawId(bytes));

export async function recordRun(
  executor: Executor,
  program: ReplayProgram,
  resume: ResumeState | null = null,
): Promise<RecordedRun> {
  const sink = new KeepingSink();
  sink.haltAt = program.haltAt ?? null;
  const task = {
    ...createTask({
      isolation: 'process',
      module: program.module,
      workload: { abi: program.abi ?? 'fogproof' },
      resources: RESOURCES,
    }),
    inputs: program.input === undefined ? [] : [{ path: program.inputPath ?? '/data', bytes: program.input }],
    checkpoints: program.schedule,
    resume,
  };
  const result = await executor.execute(task, sink, {});
  // A training job that ends without another round makes no further link.
  const states = sink.checkpoints.filter(({ step }, at, all) => at === 0 || step > (all[at - 1]?.step ?? 0));
  return { states, result, pieces: sink.store };
}

/** The state with one bit of one page flipped, and the run that goes on from it: what a broken machine would sign. */
export async function recordFlipped(
  executor: Executor,
  program: ReplayProgram,
  {
    honest,
    at,
    page,
    bit,
  }: { readonly honest: RecordedRun; readonly at: number; readonly page: number; readonly bit: number },
): Promise<RecordedRun> {
  const before = honest.states[at];
  if (before === undefined) throw new RangeError(`no checkpoint ${at}`);
  const flipped = flipBit(before.state, { page, bit, pieces: honest.pieces });
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (const key of listPieceKeys(listPieces(flipped.state))) yield flipped.pieces.get(key) as Uint8Array;
  }
  const rest = await recordRun(executor, program, { step: before.step, state: flipped.state, pieces: pieces() });
  return {
    states: [...honest.states.slice(0, at), ...rest.states],
    result: rest.result,
    pieces: new Map([...honest.pieces, ...flipped.pieces, ...rest.pieces]),
  };
}

export function flipBit(
  state: SnapshotState,
  { page, bit, pieces }: { readonly page: number; readonly bit: number; readonly pieces: PieceStore },
): { readonly state: SnapshotState; readonly pieces: PieceStore } {
  if (state.kind !== 'memory') throw new TypeError('only memory has pages');
  const key = listPieceKeys(state.pages)[page] as string;
  const bytes = Uint8Array.from(pieces.get(key) ?? new Uint8Array(65_536));
  bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
  const digest = sha256(bytes);
  const pages = Uint8Array.from(state.pages);
  pages.set(digest, page * 32);
  return { state: { ...state, pages }, pieces: new Map([...pieces, [encodeHex(digest), bytes]]) };
}

/** A snapshot to be in the file; `state` and `pieces` in place of those of the run for a false one. */
export interface PackedSnapshot {
  /** Place among the states of the run. */
  readonly at: number;
  readonly state?: SnapshotState;
  readonly pieces?: PieceStore;
}

export interface PackPlan {
  readonly program: ReplayProgram;
  /** One for each replica. */
  readonly runs: readonly RecordedRun[];
  /** Of the first replica. */
  readonly snapshots?: readonly PackedSnapshot[];
  readonly content?: 'evidence' | 'everything';
  readonly job?: (job: Job) => Job;
  /** By default the one of this program. */
  readonly instrumenter?: string;
  readonly links?: (links: readonly ChainLink[]) => readonly ChainLink[];
  readonly bundle?: (bundle: Bundle) => Bundle;
}

export interface SignedReplay {
  readonly job: Signed<Job>;
  readonly attempts: readonly BundleAttempt[];
  /** One for each replica. */
  readonly leases: readonly LeaseId[];
  /** Module, input, chains and outputs. */
  readonly blobs: ReadonlyMap<BlobId, Uint8Array>;
  readonly chains: ReadonlySet<BlobId>;
}

/** The objects that the parties of such a job would have signed. */
export async function signReplay(plan: PackPlan): Promise<SignedReplay> {
  const { program, runs } = plan;
  const job = await signObject(JOB, (plan.job ?? keep)(describeJob(program, runs.length)), party(0));
  const built = await Promise.all(runs.map((run, replica) => signRun(job, { run, replica, plan })));
  const chains = built.map(({ chain }) => chain);
  const outputs = runs.flatMap(({ result }) => result.outputs.map(({ bytes }) => bytes));
  const inputs = program.input === undefined ? [] : [program.input];
  return {
    job,
    attempts: built.map(({ attempt }) => attempt),
    leases: built.map(({ lease }) => lease),
    blobs: new Map([program.module, ...inputs, ...chains, ...outputs].map((bytes) => [blobOf(bytes), bytes])),
    chains: new Set(chains.map(blobOf)),
  };
}

/** Writes the file and gives the leases of its replicas. */
export async function packReplay(path: string, plan: PackPlan): Promise<readonly LeaseId[]> {
  const { runs, content = 'everything' } = plan;
  const { job, attempts, leases, blobs: all, chains } = await signReplay(plan);
  const isIncluded = (blob: BlobId): boolean => content === 'everything' || chains.has(blob);
  const snapshots = (plan.snapshots ?? []).map((one) => packSnapshot(one, { job, run: runs[0], lease: leases[0] }));
  const bundle: Bundle = {
    type: 'fogproof/bundle@1',
    job: job.wire,
    attempts: [...attempts],
    commitmentSet: null,
    unrevealed: [],
    missingReplicas: [],
    blobs: [...all].map(([blob, { length }]) => ({ blob, sizeBytes: length, included: isIncluded(blob) })),
    ...(snapshots.length === 0 ? {} : { snapshots: snapshots.map(({ listed }) => listed) }),
    exportedAtMs: UnixMs(START_MS),
  };
  const told = (plan.bundle ?? keep)(bundle);
  const written = new Set(told.blobs.flatMap(({ blob, included }) => (included ? [blob] : [])));
  async function* blocks(): AsyncGenerator<RawBlock> {
    for (const block of snapshots.flatMap((one) => one.blocks)) {
      if (written.has(block.blob)) continue;
      written.add(block.blob);
      yield block;
    }
  }
  const read = async (blob: BlobId, offset: number, length: number) => all.get(blob)?.subarray(offset, offset + length);
  const parts: Uint8Array[] = [];
  for await (const part of writeBlocks(told, read, blocks())) parts.push(part);
  await writeFile(path, Buffer.concat(parts));
  return leases;
}

const keep = <Value>(value: Value): Value => value;

function describeJob({ module, schedule, input, inputPath = '/data', abi }: ReplayProgram, replicas: number): Job {
  return {
    type: 'fogproof/job@1',
    network: 'test',
    requester: party(0).peer,
    nonce: new Uint8Array(16),
    name: 'replayed',
    createdAtMs: UnixMs(START_MS),
    deadlineMs: UnixMs(START_MS + 600_000),
    capabilityClass: 'cpu',
    workload: {
      kind: 'wasm',
      module: blobOf(module),
      moduleSizeBytes: module.length,
      abi: abi ?? 'fogproof',
      arguments: [],
      environment: {},
      seed: new Uint8Array(32),
    },
    inputs: input === undefined ? [] : [{ path: inputPath, blob: blobOf(input), sizeBytes: input.length }],
    resources: RESOURCES,
    isolation: 'process',
    replication: { replicas, quorum: Math.floor(replicas / 2) + 1, diversity: 'peer' },
    retries: 0,
    market: 'direct',
    priceCeiling: '0',
    checkpoints: { schedule, holder: null, sealed: false },
  };
}

interface SignedRun {
  readonly lease: LeaseId;
  readonly attempt: BundleAttempt;
  readonly chain: Uint8Array;
}

async function signRun(
  job: Signed<Job>,
  { run, replica, plan }: { readonly run: RecordedRun; readonly replica: number; readonly plan: PackPlan },
): Promise<SignedRun> {
  const provider = party(replica + 1);
  const lease: Lease = {
    type: 'fogproof/lease@1',
    network: 'test',
    job: JobId(job.id),
    offer: OfferId(job.id),
    requester: party(0).peer,
    provider: provider.peer,
    nonce: new Uint8Array(16).fill(replica),
    replica,
    attempt: 0,
    price: '0',
    issuedAtMs: UnixMs(START_MS + 1_000),
    durationMs: 120_000,
    renewalMs: 30_000,
    deadlineMs: UnixMs(START_MS + 600_000),
    commitReveal: job.value.replication.replicas > 1,
    snapshotHolder: party(0).peer,
  };
  const signed = await signObject(LEASE, lease, party(0));
  const id = LeaseId(signed.id);
  const acceptance = { type: 'fogproof/lease-acceptance@1', lease: id, provider: provider.peer } as const;
  const { chain, root } = buildChain(job, id, { run, plan });
  const { outcome, outputs, fuel, steps, metricsHash, instrumentedModuleDigest, report } = run.result;
  const result: Receipt['result'] = {
    type: 'fogproof/result@1',
    job: JobId(job.id),
    outcome,
    outputs: outputs.map(({ path, bytes }) => ({ path, blob: blobOf(bytes), sizeBytes: bytes.length })),
    fuel,
    steps,
    metricsHash,
    instrumentedModule: instrumentedModuleDigest && BlobId(formatRawId(instrumentedModuleDigest)),
    instrumenter: plan.instrumenter ?? INSTRUMENTER,
  };
  const receipt: Receipt = {
    type: 'fogproof/receipt@1',
    network: 'test',
    job: JobId(job.id),
    lease: id,
    requester: party(0).peer,
    provider: provider.peer,
    result,
    outputRoot: computeOutputRoot(result),
    salt: null,
    commitmentSet: null,
    checkpointRoot: root,
    checkpointChain: { blob: blobOf(chain), sizeBytes: chain.length, links: run.states.length - 1 },
    sandbox: report,
    usage: { cpuTimeMs: 1, wallTimeMs: 1, peakMemoryBytes: 1 },
    startedAtMs: UnixMs(START_MS + 2_000),
    finishedAtMs: UnixMs(START_MS + 20_000),
  };
  return {
    lease: id,
    chain,
    attempt: {
      lease: signed.wire,
      acceptance: (
        await signObject(LEASE_ACCEPTANCE, { ...acceptance, acceptedAtMs: UnixMs(START_MS + 1_100) }, provider)
      ).wire,
      receipt: (await signObject(RECEIPT, receipt, provider)).wire,
      commitment: null,
      setSignature: null,
    },
  };
}

function buildChain(
  job: Signed<Job>,
  lease: LeaseId,
  { run, plan }: { readonly run: RecordedRun; readonly plan: PackPlan },
): { readonly chain: Uint8Array; readonly root: Uint8Array } {
  const [first, ...others] = run.states;
  if (first === undefined) throw new RangeError('a run has a start');
  const owner = { job: JobId(job.id), lease };
  const inputRoot = computeInputRoot(job.value);
  const start = { step: first.step, parent: null, stateRoot: first.stateRoot };
  const links = (plan.links ?? keep)(
    others.map(({ step, stateRoot, metricsHash }) => ({
      step,
      stateRoot,
      metricsHash,
      atMs: UnixMs(START_MS + 3_000),
    })),
  );
  const startHead = computeStartHead(owner, inputRoot, start);
  return {
    chain: encodeObject(CHECKPOINT_CHAIN, {
      type: 'fogproof/checkpoint-chain@1',
      ...owner,
      inputRoot,
      start,
      links: encodeLinks(links),
    }),
    root: computeCheckpointRoot(computeHeads(owner, startHead, links), startHead),
  };
}

function packSnapshot(
  { at, state, pieces }: PackedSnapshot,
  {
    job,
    run,
    lease,
  }: { readonly job: Signed<Job>; readonly run: RecordedRun | undefined; readonly lease: LeaseId | undefined },
): { readonly listed: NonNullable<Bundle['snapshots']>[number]; readonly blocks: readonly RawBlock[] } {
  const taken = run?.states[at];
  if (run === undefined || taken === undefined || lease === undefined) throw new RangeError(`no checkpoint ${at}`);
  const { step, stateRoot } = taken;
  const body: SnapshotBody = {
    type: 'fogproof/snapshot-body@1',
    job: JobId(job.id),
    step,
    stateRoot,
    state: state ?? taken.state,
  };
  const bytes = encodeObject(SNAPSHOT, createPlainSnapshot(body));
  const store = pieces ?? run.pieces;
  const items = listPieceKeys(listPieces(body.state)).map((key) => {
    const piece = store.get(key);
    if (piece === undefined) throw new RangeError(`no piece ${key}`);
    return { blob: blobOf(piece), bytes: piece };
  });
  return {
    listed: { lease, step, snapshot: { blob: blobOf(bytes), sizeBytes: bytes.length } },
    blocks: [{ blob: blobOf(bytes), bytes }, ...items],
  };
}
