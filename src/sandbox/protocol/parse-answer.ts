import { type Outcome, PROGRAM_FAILURES } from '../../domain/receipt.ts';
import { MAX_CHILD_FRAME_BYTES } from '../constants.ts';
import { SandboxError } from '../errors.ts';
import { ANSWER, LOG_STREAM_NAMES, type LogStreamName, RESULT_KINDS } from './answers.ts';
import { FieldReader } from './fields.ts';

export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'log'; readonly stream: LogStreamName; readonly text: Uint8Array }
  | { readonly kind: 'metric'; readonly step: number; readonly name: string; readonly value: number }
  | { readonly kind: 'progress'; readonly fuel: number; readonly step: number; readonly cpuMicros: number }
  | { readonly kind: 'output'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
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

/** Longest path of an output, in bytes: 512 characters of at most 3 bytes in UTF-8 (domain/job.ts, jobPathSchema). */
const MAX_PATH_BYTES = 1536;
const MAX_METRIC_NAME_BYTES = 128;
const MAX_DETAIL_BYTES = 1200;
const MAX_DETAIL = 300;
const DIGEST_BYTES = 32;
const DECODER = new TextDecoder();

function refuse(reason: string): never {
  throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
}

/**
 * Reads one frame (type and fields) of a child. Byte fields of `log` and `chunk` are views into it.
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
  return { kind: 'result', outcome: toOutcome(kind, code, detail), ...figures, moduleDigest };
}

function toOutcome(kind: (typeof RESULT_KINDS)[number], code: string, detail: string): Outcome {
  if (kind === 'completed') return { kind };
  if (kind === 'engine-failed') return { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail };
  const known = PROGRAM_FAILURES.find((candidate) => candidate === code) ?? refuse('unknown failure code');
  return { kind, code: known, detail };
}

/** Cuts a byte stream into frames. */
export class FrameSplitter {
  private pending: Uint8Array = new Uint8Array(0);

  /** Calls `use` with each whole frame; the bytes are valid during the call. @throws SandboxError SANDBOX_PROTOCOL */
  push(bytes: Uint8Array, use: (frame: Uint8Array) => void): void {
    let data = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes]);
    this.pending = new Uint8Array(0);
    while (data.length >= 4) {
      const length = new DataView(data.buffer, data.byteOffset).getUint32(0);
      if (length === 0 || length > MAX_CHILD_FRAME_BYTES) refuse('a frame is too long');
      if (data.length < 4 + length) break;
      use(data.subarray(4, 4 + length));
      data = data.subarray(4 + length);
    }
    if (data.length > 0) this.pending = data.slice();
  }
}
