import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobId, LeaseId, UnixMs } from '../../src/domain/ids.ts';
import type { CheckpointSchedule, Job } from '../../src/domain/job.ts';
import { DAG_CBOR_CODE, formatRawId, sha256 } from '../../src/lib/cid.ts';
import { formatDigest } from '../../src/lib/link.ts';
import {
  type ChainLink,
  computeCheckpointRoot,
  computeHeads,
  computeInputRoot,
  computeStartHead,
} from '../../src/proofs/checkpoint-chain.ts';
import { parseHostState } from '../../src/proofs/host-state.ts';
import { placePieces } from '../../src/proofs/state-pieces.ts';
import { INSTRUMENTER, PAGE_BYTES } from '../../src/wasm/constants.ts';
import { prepareStepping, runStepping, type SteppingRun, type TakenState, toImage } from './stepping-run.ts';
import { assembleWat } from './wat.ts';

export const VECTORS_FOLDER = join(import.meta.dirname, '../vectors/stepping');

/** Bytes that are mostly zeros: their length, and those that are not zeros as [offset, hex]. */
export interface SparseBytes {
  readonly length: number;
  readonly parts: readonly (readonly [offset: number, hex: string])[];
}

export interface SteppingVector {
  readonly name: string;
  readonly module: { readonly wat: string; readonly hex: string; readonly instrumenter: string };
  readonly job: {
    readonly digest: string;
    readonly seed: string;
    readonly inputs: readonly { readonly path: string; readonly hex: string }[];
    readonly maxPages: number;
    readonly fuel: number;
    readonly outputBytes: number;
    readonly logBytes: number;
    readonly schedule: CheckpointSchedule;
  };
  readonly lease: string;
  readonly inputRoot: string;
  /** H of the checkpoint that the attempt went on from; null began at the beginning. */
  readonly parent: string | null;
  readonly checkpoints: readonly CheckpointVector[];
  readonly checkpointRoot: string;
}

export interface CheckpointVector {
  readonly place: string;
  readonly step: number;
  readonly atMs: number;
  /** Fields of section 3.1 by name; numbers. */
  readonly fields: Readonly<Record<string, number | boolean>>;
  readonly metrics: readonly { readonly step: number; readonly name: string; readonly bits: string }[];
  readonly metricsHash: string;
  readonly host: string;
  readonly globals: string;
  readonly memory: SparseBytes;
  readonly pages: readonly string[];
  readonly output: SparseBytes;
  readonly pieces: readonly string[];
  readonly stateRoot: string;
  readonly head: string;
}

interface VectorPlan {
  readonly name: string;
  readonly wat: string;
  readonly schedule: CheckpointSchedule;
  readonly inputs?: readonly { readonly path: string; readonly bytes: Uint8Array }[];
  /** Step whose state the attempt goes on from. */
  readonly from?: number;
}

const INPUTS = [
  { path: '/a.txt', bytes: new TextEncoder().encode('the first input') },
  { path: '/é.bin', bytes: Uint8Array.of(0, 1, 2, 255) },
];
const LIMITS = { maxPages: 4, fuel: 1_000_000_000, outputBytes: 1_000_000, logBytes: 1_000_000 };

export const VECTOR_PLANS: readonly VectorPlan[] = [
  { name: 'counter', wat: 'counter.wat', schedule: { kind: 'steps', every: 1 } },
  { name: 'everything', wat: 'everything.wat', schedule: { kind: 'steps', every: 2 }, inputs: INPUTS },
  { name: 'everything-resumed', wat: 'everything.wat', schedule: { kind: 'steps', every: 2 }, inputs: INPUTS, from: 2 },
  { name: 'fuel', wat: 'fuel.wat', schedule: { kind: 'fuel', every: 1_000_000 } },
];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const digestOf = (text: string): Uint8Array => sha256(new TextEncoder().encode(text));
const SEED = digestOf('seed');

/** The file of a plan, as text. */
export function renderVector(plan: VectorPlan): string {
  return `${JSON.stringify(createVector(plan), null, 1)}\n`;
}

function createVector(plan: VectorPlan): SteppingVector {
  const { name, wat, schedule, inputs = [] } = plan;
  const bytes = assembleWat(readFileSync(join(VECTORS_FOLDER, wat), 'utf8'));
  const owner = {
    job: JobId(formatDigest(DAG_CBOR_CODE, digestOf('job'))),
    lease: LeaseId(formatDigest(DAG_CBOR_CODE, digestOf(`lease of ${name}`))),
  };
  const whole = runVector(bytes, plan, null);
  const from = plan.from === undefined ? null : stateAt(whole, plan.from);
  const run = from === null ? whole : runVector(bytes, plan, from);
  const parent = from === null ? null : digestOf('H of the checkpoint before');
  const inputRoot = computeInputRoot({
    workload: { kind: 'wasm', module: formatRawId(sha256(bytes)), moduleSizeBytes: bytes.length, seed: SEED },
    inputs: inputs.map((input) => ({
      path: input.path,
      blob: formatRawId(sha256(input.bytes)),
      sizeBytes: input.bytes.length,
    })),
  } as unknown as Pick<Job, 'workload' | 'inputs'>); // the fields that the root is over
  const [start, ...rest] = run.states;
  if (start === undefined) throw new TypeError('there is a start');
  const links = rest.map((state, index): ChainLink => toLink(state, index + 1));
  const startHead = computeStartHead(owner, inputRoot, {
    step: start.step,
    parent,
    stateRoot: toLink(start, 0).stateRoot,
  });
  const heads = computeHeads(owner, startHead, links);
  return {
    name,
    module: { wat, hex: hex(bytes), instrumenter: INSTRUMENTER },
    job: {
      digest: hex(digestOf('job')),
      seed: hex(SEED),
      inputs: inputs.map((input) => ({ path: input.path, hex: hex(input.bytes) })),
      ...LIMITS,
      schedule,
    },
    lease: hex(digestOf(`lease of ${name}`)),
    inputRoot: hex(inputRoot),
    parent: parent === null ? null : hex(parent),
    checkpoints: run.states.map((state, index) =>
      describeCheckpoint(state, { whole, index, head: [startHead, ...heads][index] }),
    ),
    checkpointRoot: hex(computeCheckpointRoot(heads, startHead)),
  };
}

function runVector(bytes: Uint8Array, plan: VectorPlan, from: TakenState | null): SteppingRun {
  const { maxPages, ...limits } = LIMITS;
  return runStepping(prepareStepping(bytes, maxPages), {
    checkpoints: plan.schedule,
    resume: from === null ? null : toImage(from),
    takesPieces: true,
    task: { ...limits, seed: SEED, inputs: plan.inputs ?? [] },
  });
}

function stateAt(run: SteppingRun, step: number): TakenState {
  const state = run.states.find((candidate) => candidate.step === step);
  if (state === undefined) throw new TypeError(`no state of step ${step}`);
  return state;
}

/** Times are made up. */
function toLink(state: TakenState, index: number): ChainLink {
  return {
    step: state.step,
    stateRoot: new Uint8Array(Buffer.from(state.stateRoot, 'hex')),
    metricsHash: new Uint8Array(Buffer.from(state.metricsHash, 'hex')),
    atMs: UnixMs(1_700_000_000_000 + index * 250),
  };
}

function describeCheckpoint(
  taken: TakenState,
  of: { readonly whole: SteppingRun; readonly index: number; readonly head: Uint8Array | undefined },
): CheckpointVector {
  const { metricsHash: _hash, ...fields } = parseHostState(taken.state.host);
  const places = placePieces(taken.state).places;
  const join = (from: number, to: number): Uint8Array =>
    Buffer.concat(Array.from(places.subarray(from, to), (place) => taken.pieces[place] ?? new Uint8Array(PAGE_BYTES)));
  return {
    place: taken.place,
    step: taken.step,
    atMs: toLink(taken, of.index).atMs,
    fields,
    metrics: of.whole.metrics.slice(0, fields.metrics),
    metricsHash: taken.metricsHash,
    host: hex(taken.state.host),
    globals: hex(taken.state.globals),
    memory: toSparse(join(0, fields.pages)),
    pages: splitDigests(taken.state.pages),
    output: toSparse(join(fields.pages, places.length)),
    pieces: splitDigests(taken.state.output),
    stateRoot: taken.stateRoot,
    head: hex(of.head ?? new Uint8Array()),
  };
}

function splitDigests(list: Uint8Array): string[] {
  return Array.from({ length: list.length / 32 }, (_, index) => hex(list.subarray(index * 32, index * 32 + 32)));
}

/** Runs of bytes with fewer than 8 zeros between them. */
function toSparse(bytes: Uint8Array): SparseBytes {
  const parts: (readonly [number, string])[] = [];
  let start = -1;
  let last = -1;
  const flush = (): void => {
    if (start >= 0) parts.push([start, hex(bytes.subarray(start, last + 1))]);
    start = -1;
  };
  bytes.forEach((byte, at) => {
    if (byte === 0) return;
    if (start >= 0 && at - last > 8) flush();
    if (start < 0) start = at;
    last = at;
  });
  flush();
  return { length: bytes.length, parts };
}
