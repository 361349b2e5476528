import { type Outcome, PROGRAM_FAILURES } from '../../domain/receipt.ts';
import { SNAPSHOT_PIECE_BYTES, snapshotBodySchema } from '../../domain/snapshot.ts';
import { SandboxError } from '../errors.ts';
import {
  ANSWER,
  CHECKPOINT_PLACES,
  type CheckpointAnswer,
  LOG_STREAM_NAMES,
  type LogStreamName,
  RESULT_KINDS,
} from './answers.ts';
import { FieldReader } from './fields.ts';
import { MAX_PATH_BYTES, readState } from './state-fields.ts';

export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'log'; readonly stream: LogStreamName; readonly text: Uint8Array }
  | { readonly kind: 'metric'; readonly step: number; readonly name: string; readonly value: number }
  | { readonly kind: 'progress'; readonly fuel: number; readonly step: number; readonly cpuMicros: number }
  | { readonly kind: 'output'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | ({ readonly kind: 'checkpoint' } & CheckpointAnswer)
  | { readonly kind: 'piece'; readonly place: number; readonly bytes: Uint8Array }
  | { readonly kind: 'resume-refused'; readonly reason: string }
  | {
      readonly kind: 'result';
      readonly outcome: Outcome;
      readonly fuel: number;
      readonly steps: number;
      readonly memoryBytes: number;
      readonly cpuMicros: number;
      readonly metricsHash: Uint8Array;
      readonly moduleDigest: Uint8Array | null;
    };

const MAX_METRIC_NAME_BYTES = 128;
const MAX_DETAIL_BYTES = 1200;
const MAX_DETAIL = 300;
const DIGEST_BYTES = 32;
const DECODER = new TextDecoder();

function refuse(reason: string): never {
  throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
}

/**
 * Reads one frame (type and fields) of a child. Byte fields of `log`, `chunk` and `piece` are views into it.
 * @throws SandboxError SANDBOX_PROTOCOL
 */
export function parseAnswer(frame: Uint8Array): Answer {
  const reader = new FieldReader(frame);
  const type = reader.u8();
  switch (type) {
    case ANSWER.ready:
      reader.end();
      return { kind: 'ready' };
    case ANSWER.log: {
      const stream = LOG_STREAM_NAMES[reader.u8()] ?? refuse('unknown log stream');
      return { kind: 'log', stream, text: reader.rest() };
    }
    case ANSWER.metric:
      return parseMetric(reader);
    case ANSWER.progress: {
      const progress = { fuel: reader.u64(), step: reader.u64(), cpuMicros: reader.u64() };
      reader.end();
      return { kind: 'progress', ...progress };
    }
    case ANSWER.output: {
      const sizeBytes = reader.u64();
      const path = reader.text(MAX_PATH_BYTES);
      reader.end();
      return { kind: 'output', path, sizeBytes };
    }
    case ANSWER.chunk:
      return { kind: 'chunk', bytes: reader.rest() };
    case ANSWER.result:
      return parseResult(reader);
    case ANSWER.checkpoint:
      return parseCheckpoint(reader);
    case ANSWER.piece: {
      const place = reader.u32();
      const bytes = reader.rest();
      if (bytes.length === 0 || bytes.length > SNAPSHOT_PIECE_BYTES) refuse('a piece has a wrong size');
      return { kind: 'piece', place, bytes };
    }
    default:
      return refuse(`unknown answer ${type}`);
  }
}

function parseMetric(reader: FieldReader): Answer {
  const step = reader.u64();
  const value = reader.f64();
  const name = reader.rest();
  if (name.length > MAX_METRIC_NAME_BYTES) refuse('the name of a metric is too long');
  return { kind: 'metric', step, name: DECODER.decode(name), value };
}

function parseCheckpoint(reader: FieldReader): Answer {
  const place = CHECKPOINT_PLACES[reader.u8()] ?? refuse('unknown place of a checkpoint');
  const figures = {
    step: reader.u64(),
    fuel: reader.u64(),
    ordinal: reader.u64(),
    stateRoot: reader.raw(DIGEST_BYTES),
    metricsHash: reader.raw(DIGEST_BYTES),
  };
  const state = snapshotBodySchema.shape.state.safeParse(readState(reader));
  reader.end();
  return state.success ? { kind: 'checkpoint', place, ...figures, state: state.data } : refuse('a state is malformed');
}

function parseResult(reader: FieldReader): Answer {
  const kind = RESULT_KINDS[reader.u8()] ?? refuse('unknown kind of result');
  const figures = {
    fuel: reader.u64(),
    steps: reader.u64(),
    memoryBytes: reader.u64(),
    cpuMicros: reader.u64(),
    metricsHash: reader.raw(DIGEST_BYTES),
  };
  const moduleDigest = reader.u8() === 0 ? null : reader.raw(DIGEST_BYTES);
  const code = reader.text(MAX_DETAIL_BYTES);
  const detail = reader.text(MAX_DETAIL_BYTES).slice(0, MAX_DETAIL);
  reader.end();
  if (kind === 'resume-refused') return { kind, reason: detail };
  return { kind: 'result', outcome: toOutcome(kind, code, detail), ...figures, moduleDigest };
}

type ProgramEnd = Exclude<(typeof RESULT_KINDS)[number], 'resume-refused'>;

function toOutcome(kind: ProgramEnd, code: string, detail: string): Outcome {
  if (kind === 'completed') return { kind };
  if (kind === 'paused') return { kind: 'attempt-failed', code: 'PAUSED', detail: 'paused at a checkpoint' };
  if (kind === 'engine-failed') return { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail };
  const known = PROGRAM_FAILURES.find((candidate) => candidate === code) ?? refuse('unknown failure code');
  return { kind, code: known, detail };
}
