/**
 * From the parent to a child. A child trusts its parent: these frames are not size-limited but by what the parent
 * accepts itself.
 */
import type { CheckpointSchedule } from '../../domain/job.ts';
import type { SnapshotState } from '../../domain/snapshot.ts';
import type { FieldReader, FrameWriter } from './fields.ts';
import { readState, writeState } from './state-fields.ts';

export const REQUEST = { module: 1, drop: 2, run: 3, order: 4, instrumented: 5, instrument: 6 } as const;
/** The one output of a child that only instruments. */
export const INSTRUMENTED_PATH = '/instrumented';

export interface ResumeRequest {
  readonly step: number;
  readonly state: SnapshotState;
  /** The pieces' bytes follow those of the inputs, in this order. */
  readonly pieceSizes: readonly number[];
}

export interface RunRequest {
  readonly digest: Uint8Array;
  readonly abi: 'wasi' | 'fogproof';
  readonly maxPages: number;
  readonly fuel: number;
  readonly outputBytes: number;
  readonly logBytes: number;
  readonly seed: Uint8Array;
  readonly arguments: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  /** The bytes follow the frame, in this order. */
  readonly inputs: readonly { readonly path: string; readonly sizeBytes: number }[];
  readonly checkpoints: CheckpointSchedule | null;
  readonly resume: ResumeRequest | null;
}

/** Answers a checkpoint. */
export interface OrderRequest {
  readonly next: 'continue' | 'halt';
  /** Places of the pieces to be given, ascending. */
  readonly wanted: readonly number[];
}

const ABI_NAMES = ['wasi', 'fogproof'] as const;
const SCHEDULE_KINDS = ['fuel', 'steps', 'rounds'] as const;
const NO_SCHEDULE = 255;
const ORDERS = ['continue', 'halt'] as const;
const DIGEST_BYTES = 32;
const ANY_LENGTH = Number.MAX_SAFE_INTEGER;

/** The module's bytes, or the content of an instrumented one, follow the frame's head. */
export function writeModuleHead(
  writer: FrameWriter,
  digest: Uint8Array,
  module: { readonly sizeBytes: number; readonly isInstrumented: boolean },
): void {
  writer.begin(module.isInstrumented ? REQUEST.instrumented : REQUEST.module);
  writer.raw(digest);
  writer.end(module.sizeBytes);
}

export function writeDrop(writer: FrameWriter, digest: Uint8Array): void {
  writer.begin(REQUEST.drop);
  writer.raw(digest);
  writer.end();
}

/** `instrument` runs nothing: the child answers with the instrumented module as its output. */
export function writeRun(writer: FrameWriter, request: RunRequest, goal: 'run' | 'instrument' = 'run'): void {
  writer.begin(REQUEST[goal]);
  writer.raw(request.digest);
  writer.u8(ABI_NAMES.indexOf(request.abi));
  writer.u32(request.maxPages);
  writer.u64(request.fuel);
  writer.u64(request.outputBytes);
  writer.u64(request.logBytes);
  writer.raw(request.seed);
  writer.u32(request.arguments.length);
  for (const argument of request.arguments) writer.text(argument);
  writer.u32(request.environment.length);
  for (const [name, value] of request.environment) {
    writer.text(name);
    writer.text(value);
  }
  writer.u32(request.inputs.length);
  for (const input of request.inputs) {
    writer.text(input.path);
    writer.u32(input.sizeBytes);
  }
  writeSchedule(writer, request.checkpoints);
  writeResume(writer, request.resume);
  writer.end();
}

function writeSchedule(writer: FrameWriter, schedule: CheckpointSchedule | null): void {
  writer.u8(schedule === null ? NO_SCHEDULE : SCHEDULE_KINDS.indexOf(schedule.kind));
  if (schedule !== null) writer.u64(schedule.every);
}

function readSchedule(reader: FieldReader): CheckpointSchedule | null {
  const kind = SCHEDULE_KINDS[reader.u8()];
  return kind === undefined ? null : { kind, every: reader.u64() };
}

function writeResume(writer: FrameWriter, resume: ResumeRequest | null): void {
  writer.u8(resume === null ? 0 : 1);
  if (resume === null) return;
  writer.u64(resume.step);
  writeState(writer, resume.state);
  writer.u32(resume.pieceSizes.length);
  for (const size of resume.pieceSizes) writer.u32(size);
}

function readResume(reader: FieldReader): ResumeRequest | null {
  if (reader.u8() === 0) return null;
  return { step: reader.u64(), state: readState(reader), pieceSizes: reader.list(() => reader.u32()) };
}

export function writeOrder(writer: FrameWriter, order: OrderRequest): void {
  writer.begin(REQUEST.order);
  writer.u8(ORDERS.indexOf(order.next));
  writer.u32(order.wanted.length);
  for (const place of order.wanted) writer.u32(place);
  writer.end();
}

export function readOrder(reader: FieldReader): OrderRequest {
  const order = { next: ORDERS[reader.u8()] ?? 'halt', wanted: reader.list(() => reader.u32()) };
  reader.end();
  return order;
}

export function readRun(reader: FieldReader): RunRequest {
  const request: RunRequest = {
    digest: reader.raw(DIGEST_BYTES),
    abi: ABI_NAMES[reader.u8()] ?? 'wasi',
    maxPages: reader.u32(),
    fuel: reader.u64(),
    outputBytes: reader.u64(),
    logBytes: reader.u64(),
    seed: reader.raw(DIGEST_BYTES),
    arguments: reader.list(() => reader.text(ANY_LENGTH)),
    environment: reader.list(() => [reader.text(ANY_LENGTH), reader.text(ANY_LENGTH)] as const),
    inputs: reader.list(() => ({ path: reader.text(ANY_LENGTH), sizeBytes: reader.u32() })),
    checkpoints: readSchedule(reader),
    resume: readResume(reader),
  };
  reader.end();
  return request;
}
