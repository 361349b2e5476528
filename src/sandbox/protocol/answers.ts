/** From a child to its parent. */
import type { SnapshotState } from '../../domain/snapshot.ts';
import type { FrameWriter } from './fields.ts';
import { writeState } from './state-fields.ts';

export const ANSWER = {
  ready: 1,
  log: 2,
  metric: 3,
  progress: 4,
  output: 5,
  chunk: 6,
  result: 7,
  checkpoint: 8,
  piece: 9,
} as const;

export const LOG_STREAM_NAMES = ['stdout', 'stderr', 'log'] as const;
export type LogStreamName = (typeof LOG_STREAM_NAMES)[number];
/** `paused` is what `halt` asked for; `resume-refused`: the state to go on from does not fit this module or these limits. */
export const RESULT_KINDS = ['completed', 'program-failed', 'engine-failed', 'paused', 'resume-refused'] as const;
export const CHECKPOINT_PLACES = ['start', 'middle', 'end'] as const;

/** The program waits from here until its parent's order has been carried out. */
export interface CheckpointAnswer {
  readonly place: (typeof CHECKPOINT_PLACES)[number];
  readonly step: number;
  readonly fuel: number;
  readonly ordinal: number;
  readonly stateRoot: Uint8Array;
  readonly metricsHash: Uint8Array;
  readonly state: SnapshotState;
}

export interface ResultAnswer {
  readonly kind: (typeof RESULT_KINDS)[number];
  /** A code of PROGRAM_FAILURES where the program failed, else empty. */
  readonly code: string;
  readonly detail: string;
  readonly fuel: number;
  readonly steps: number;
  readonly metricsHash: Uint8Array;
  readonly moduleDigest: Uint8Array | null;
  readonly memoryBytes: number;
  readonly cpuMicros: number;
}

export function writeReady(writer: FrameWriter): void {
  writer.begin(ANSWER.ready);
  writer.end();
}

export function writeLog(writer: FrameWriter, stream: LogStreamName, text: Uint8Array): void {
  writer.begin(ANSWER.log);
  writer.u8(LOG_STREAM_NAMES.indexOf(stream));
  writer.raw(text);
  writer.end();
}

export function writeMetric(writer: FrameWriter, metric: { step: number; name: Uint8Array; value: number }): void {
  writer.begin(ANSWER.metric);
  writer.u64(metric.step);
  writer.f64(metric.value);
  writer.raw(metric.name);
  writer.end();
}

export function writeProgress(writer: FrameWriter, progress: { fuel: number; step: number; cpuMicros: number }): void {
  writer.begin(ANSWER.progress);
  writer.u64(progress.fuel);
  writer.u64(progress.step);
  writer.u64(progress.cpuMicros);
  writer.end();
}

/** Announces an output file; its chunks follow. */
export function writeOutput(writer: FrameWriter, path: string, sizeBytes: number): void {
  writer.begin(ANSWER.output);
  writer.u64(sizeBytes);
  writer.text(path);
  writer.end();
}

export function writeChunk(writer: FrameWriter, bytes: Uint8Array): void {
  writer.begin(ANSWER.chunk);
  writer.raw(bytes);
  writer.end();
}

export function writeCheckpoint(writer: FrameWriter, checkpoint: CheckpointAnswer): void {
  writer.begin(ANSWER.checkpoint);
  writer.u8(CHECKPOINT_PLACES.indexOf(checkpoint.place));
  writer.u64(checkpoint.step);
  writer.u64(checkpoint.fuel);
  writer.u64(checkpoint.ordinal);
  writer.raw(checkpoint.stateRoot);
  writer.raw(checkpoint.metricsHash);
  writeState(writer, checkpoint.state);
  writer.end();
}

/** The bytes of the piece follow the frame's head. */
export function writePieceHead(writer: FrameWriter, place: number, sizeBytes: number): void {
  writer.begin(ANSWER.piece);
  writer.u32(place);
  writer.end(sizeBytes);
}

export function writeResult(writer: FrameWriter, result: ResultAnswer): void {
  writer.begin(ANSWER.result);
  writer.u8(RESULT_KINDS.indexOf(result.kind));
  writer.u64(result.fuel);
  writer.u64(result.steps);
  writer.u64(result.memoryBytes);
  writer.u64(result.cpuMicros);
  writer.raw(result.metricsHash);
  writer.u8(result.moduleDigest === null ? 0 : 1);
  if (result.moduleDigest !== null) writer.raw(result.moduleDigest);
  writer.text(result.code);
  writer.text(result.detail);
  writer.end();
}
