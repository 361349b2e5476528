import { jobPathSchema } from '../../../domain/job.ts';
import { LOG_OVERHEAD_BYTES, MAX_OUTPUT_FILES, METRIC_OVERHEAD_BYTES } from '../../../wasm/runtime/constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionSink, InputFile } from '../../interface.ts';
import type { Answer } from '../../protocol/parse-answer.ts';

export type ResultAnswer = Extract<Answer, { kind: 'result' }>;

export interface TaskLimits {
  readonly outputBytes: number;
  readonly logBytes: number;
}

const DECODER = new TextDecoder();

/** The shortest decimal that gives the same 64-bit float, or NaN, Infinity, -Infinity (domain/messages.ts). */
export function formatMetricValue(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/**
 * Takes the answers of one task. The child is not trusted to keep to the limits that it enforces itself: passing them is a
 * breach of protocol.
 */
export class TaskAnswers {
  readonly outputs: InputFile[] = [];
  fuel = 0;
  step = 0;
  cpuTimeMs = 0;
  private readonly sink: ExecutionSink;
  private readonly limits: TaskLimits;
  private loggedBytes = 0;
  private outputBytes = 0;
  private open: { readonly bytes: Uint8Array; written: number } | null = null;

  constructor(sink: ExecutionSink, limits: TaskLimits) {
    this.sink = sink;
    this.limits = limits;
  }

  /** The result once it has come. @throws SandboxError SANDBOX_PROTOCOL */
  take(answer: Answer): ResultAnswer | null {
    switch (answer.kind) {
      case 'ready':
        return this.refuse('ready in the middle of a task');
      case 'log':
        this.countLog(answer.text.length + LOG_OVERHEAD_BYTES);
        this.sink.log(answer.stream, DECODER.decode(answer.text));
        return null;
      case 'metric':
        this.countLog(answer.name.length + METRIC_OVERHEAD_BYTES);
        this.sink.metric(answer.name, formatMetricValue(answer.value), answer.step);
        return null;
      case 'progress':
        this.fuel = answer.fuel;
        this.step = answer.step;
        this.cpuTimeMs = Math.max(this.cpuTimeMs, Math.round(answer.cpuMicros / 1000));
        this.giveProgress();
        return null;
      case 'output':
        this.openOutput(answer.path, answer.sizeBytes);
        return null;
      case 'chunk':
        this.addChunk(answer.bytes);
        return null;
      case 'result':
        if (this.isIncomplete()) this.refuse('an output is incomplete');
        return answer;
      default:
        return answer satisfies never;
    }
  }

  giveProgress(): void {
    this.sink.progress({ fuel: this.fuel, step: this.step, cpuTimeMs: this.cpuTimeMs });
  }

  private refuse(reason: string): never {
    throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
  }

  private countLog(bytes: number): void {
    this.loggedBytes += bytes;
    if (this.loggedBytes > this.limits.logBytes) this.refuse('more logs than the job allows');
  }

  private isIncomplete(): boolean {
    return this.open !== null && this.open.written < this.open.bytes.length;
  }

  private openOutput(path: string, sizeBytes: number): void {
    if (this.isIncomplete()) this.refuse('an output is incomplete');
    const last = this.outputs.at(-1);
    if (last !== undefined && !(path > last.path)) this.refuse('outputs are out of order');
    if (!jobPathSchema.safeParse(path).success) this.refuse('the path of an output is malformed');
    this.outputBytes += sizeBytes;
    if (this.outputBytes > this.limits.outputBytes) this.refuse('more output than the job allows');
    if (this.outputs.length >= MAX_OUTPUT_FILES) this.refuse('too many outputs');
    const bytes = new Uint8Array(sizeBytes);
    this.open = { bytes, written: 0 };
    this.outputs.push({ path, bytes });
  }

  private addChunk(bytes: Uint8Array): void {
    const { open } = this;
    if (open === null || open.written + bytes.length > open.bytes.length) this.refuse('an output is too long');
    else {
      open.bytes.set(bytes, open.written);
      open.written += bytes.length;
    }
  }
}
