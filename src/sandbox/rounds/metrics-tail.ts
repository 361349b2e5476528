import type { FileHandle } from 'node:fs/promises';
import { LOG_OVERHEAD_BYTES, METRIC_OVERHEAD_BYTES } from '../../wasm/runtime/constants.ts';
import { MetricsChain } from '../../wasm/runtime/metrics-chain.ts';
import { formatMetricValue } from '../executors/wasm/task-answers.ts';
import type { ExecutionSink } from '../interface.ts';
import {
  CONTROL_FOLDER,
  MAX_METRICS_LINE_BYTES,
  METRICS_NAME,
  METRICS_READ_BYTES,
  READ_BYTES_PER_LOG_BYTE,
} from './constants.ts';
import type { EventCount } from './event-count.ts';
import { parseMetricLine, type ReadMetric } from './metric-lines.ts';
import { isGone, isOtherKind, openChild } from './open-child.ts';

const NEWLINE = 0x0a;
/** What is shown of a line that is no metric. */
const MAX_SHOWN_CHARS = 200;
const UTF8 = new TextEncoder();

/** Reads what a program appends to /fogproof/metrics.jsonl, and tells it once, line by line, within the job's log limit. */
export class MetricsTail {
  readonly #folder: FileHandle;
  readonly #sink: Pick<ExecutionSink, 'log' | 'metric'>;
  readonly #count: EventCount;
  readonly #chain = new MetricsChain();
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(folder: FileHandle, sink: Pick<ExecutionSink, 'log' | 'metric'>, count: EventCount) {
    this.#folder = folder;
    this.#sink = sink;
    this.#count = count;
  }

  /** Over the metrics so far (docs/stepping.md section 3.4). */
  get hash(): Uint8Array {
    return this.#chain.head;
  }

  /** All that stands there now, a part at a time; why it may not stand there, or null. @throws Error of the file system */
  async read(): Promise<string | null> {
    try {
      await using file = await openChild(this.#folder, METRICS_NAME, 'file');
      const stat = await file.stat();
      if (!stat.isFile()) return refusal();
      // Whoever empties the file begins anew.
      if (stat.size < this.#offset) this.#restart();
      while (!this.#count.isOver && (await this.#readPart(file))) continue;
      return null;
    } catch (error) {
      if (isGone(error)) return null;
      if (isOtherKind(error)) return refusal();
      throw error;
    }
  }

  /** What is left without an end of line, once nobody writes any more. */
  finish(): void {
    if (this.#rest.length > 0) this.#tell(this.#rest);
    this.#rest = Buffer.alloc(0);
  }

  #restart(): void {
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
  }

  /** True if there is more. */
  async #readPart(file: FileHandle): Promise<boolean> {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(METRICS_READ_BYTES),
      0,
      METRICS_READ_BYTES,
      this.#offset,
    );
    this.#offset += bytesRead;
    let bytes = Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]);
    for (let end = findEnd(bytes); end !== -1 && !this.#count.isOver; end = findEnd(bytes)) {
      this.#tell(bytes.subarray(0, end));
      bytes = bytes.subarray(bytes[end] === NEWLINE ? end + 1 : end);
    }
    this.#rest = Buffer.from(bytes);
    return bytesRead === METRICS_READ_BYTES;
  }

  #tell(line: Buffer): void {
    // Also where nothing comes of it: an empty line, or one that is all white space.
    this.#count.spend(Math.ceil((line.length + 1) / READ_BYTES_PER_LOG_BYTE));
    const text = line.toString('utf8').trim();
    if (text === '') return;
    const metrics = parseMetricLine(text);
    if (metrics === null) return this.#tellWrong(text);
    for (const metric of metrics) this.#tellMetric(metric);
  }

  #tellMetric({ name, value, step }: ReadMetric): void {
    const bytes = UTF8.encode(name);
    const ordinal = this.#count.take(bytes.length + METRIC_OVERHEAD_BYTES);
    if (ordinal === null) return;
    this.#chain.append(step, bytes, value);
    this.#sink.metric(name, formatMetricValue(value), step, ordinal);
  }

  /** A mistake that people have to see, and no reason to end what has trained for days. */
  #tellWrong(text: string): void {
    const told = `fogproof: no line of metrics: ${text.slice(0, MAX_SHOWN_CHARS)}`;
    const ordinal = this.#count.take(UTF8.encode(told).length + LOG_OVERHEAD_BYTES);
    if (ordinal !== null) this.#sink.log('log', told, ordinal);
  }
}

/** Where the first line ends, or is as long as one may be; -1 if it may go on. */
function findEnd(bytes: Buffer): number {
  const end = bytes.indexOf(NEWLINE);
  if (end !== -1 && end <= MAX_METRICS_LINE_BYTES) return end;
  return bytes.length > MAX_METRICS_LINE_BYTES ? MAX_METRICS_LINE_BYTES : -1;
}

function refusal(): string {
  return `${CONTROL_FOLDER}/${METRICS_NAME} is no regular file`;
}
