import { writeSync, writevSync } from 'node:fs';
import type { LogStream, ProgramFile } from '../../../../wasm/runtime/program-context.ts';
import {
  ANSWER_FD,
  CHILD_BUFFER_BYTES,
  CHILD_FLUSH_MS,
  CHILD_PROGRESS_MS,
  OUTPUT_CHUNK_BYTES,
} from '../../../constants.ts';
import {
  type CheckpointAnswer,
  type ResultAnswer,
  writeCheckpoint,
  writeChunk,
  writeLog,
  writeMetric,
  writeOutput,
  writePieceHead,
  writeProgress,
  writeReady,
  writeResult,
} from '../../../protocol/answers.ts';
import { FrameWriter } from '../../../protocol/fields.ts';

/** Collects answers and writes them together: a small task costs one write(2). */
export class AnswerOutput {
  private readonly writer = new FrameWriter(CHILD_BUFFER_BYTES * 2);
  private flushedAtMs = 0;
  private progressAtMs = 0;
  private cpuAtStart = process.cpuUsage();

  ready(): void {
    writeReady(this.writer);
    this.flush();
  }

  beginTask(): void {
    this.cpuAtStart = process.cpuUsage();
    this.flushedAtMs = performance.now();
    this.progressAtMs = this.flushedAtMs;
  }

  get cpuMicros(): number {
    const { user, system } = process.cpuUsage(this.cpuAtStart);
    return user + system;
  }

  log(stream: LogStream, text: Uint8Array): void {
    writeLog(this.writer, stream, text);
    this.flushIfLarge();
  }

  metric(step: number, name: Uint8Array, value: number): void {
    writeMetric(this.writer, { step, name, value });
    this.flushIfLarge();
  }

  tick(read: () => { readonly fuel: number; readonly step: number }): void {
    const now = performance.now();
    if (now - this.progressAtMs >= CHILD_PROGRESS_MS) {
      this.progressAtMs = now;
      writeProgress(this.writer, { ...read(), cpuMicros: this.cpuMicros });
      this.flush();
    } else if (this.writer.length > 0 && now - this.flushedAtMs >= CHILD_FLUSH_MS) this.flush();
  }

  checkpoint(checkpoint: CheckpointAnswer): void {
    writeCheckpoint(this.writer, checkpoint);
    this.flush();
  }

  /** Straight from the program's memory, without a copy. */
  piece(place: number, bytes: Uint8Array): void {
    writePieceHead(this.writer, place, bytes.length);
    const head = this.writer.view();
    const written = writevSync(ANSWER_FD, [head, bytes]);
    this.writer.clear();
    if (written < head.length) writeWhole(head.subarray(written));
    writeWhole(bytes.subarray(Math.max(0, written - head.length)));
  }

  outputs(files: readonly ProgramFile[]): void {
    for (const file of files) {
      writeOutput(this.writer, file.path, file.bytes.length);
      for (let start = 0; start < file.bytes.length; start += OUTPUT_CHUNK_BYTES) {
        writeChunk(this.writer, file.bytes.subarray(start, start + OUTPUT_CHUNK_BYTES));
        this.flushIfLarge();
      }
    }
  }

  result(result: ResultAnswer): void {
    writeResult(this.writer, result);
    this.flush();
  }

  private flushIfLarge(): void {
    if (this.writer.length >= CHILD_BUFFER_BYTES) this.flush();
  }

  private flush(): void {
    writeWhole(this.writer.view());
    this.writer.clear();
    this.flushedAtMs = performance.now();
  }
}

function writeWhole(bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(ANSWER_FD, bytes, done, bytes.length - done);
}
