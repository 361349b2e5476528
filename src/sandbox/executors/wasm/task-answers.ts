import { jobPathSchema } from '../../../domain/job.ts';
import { LOG_OVERHEAD_BYTES, MAX_OUTPUT_FILES, METRIC_OVERHEAD_BYTES } from '../../../wasm/runtime/constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionSink, InputFile } from '../../interface.ts';
import type { Answer } from '../../protocol/parse-answer.ts';
import type { CheckpointExchange } from './checkpoint-exchange.ts';

export type ResultAnswer = Extract<Answer, { kind: 'result' }>;
/** What is dealt with only after something else was waited for. */
export type SlowAnswer = Extract<Answer, { kind: 'checkpoint' | 'piece' }>;
export type QuickAnswer = Exclude<Answer, SlowAnswer | { kind: 'resume-refused' }>;

/** Where a task begins: all zeros, or what the state says that it resumes. */
export interface TaskStart {
  readonly step: number;
  readonly fuel: number;
  readonly ordinal: number;
  readonly logBytes: number;
}

export const FRESH_START: TaskStart = { step: 0, fuel: 0, ordinal: 0, logBytes: 0 };

export interface TaskLimits {
  readonly outputBytes: number;
  readonly logBytes: number;
  readonly start: TaskStart;
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
  fuel: number;
  step: number;
  cpuTimeMs = 0;
  private readonly sink: ExecutionSink;
  private readonly limits: TaskLimits;
  private readonly exchange: CheckpointExchange | null;
  private ordinal: number;
  private loggedBytes: number;
  private outputBytes = 0;
  private open: { readonly bytes: Uint8Array; written: number } | null = null;

  /** Without an exchange, the child has no checkpoint to tell. */
  constructor(sink: ExecutionSink, limits: TaskLimits, exchange: CheckpointExchange | null) {
    this.sink = sink;
    this.limits = limits;
    this.exchange = exchange;
    this.fuel = limits.start.fuel;
    this.step = limits.start.step;
    this.ordinal = limits.start.ordinal;
    this.loggedBytes = limits.start.logBytes;
  }

  /** The program waits at a checkpoint. */
  get isWaiting(): boolean {
    return this.exchange?.isWaiting === true;
  }

  /** Nothing more is told to the receiver of checkpoints. */
  stop(): void {
    this.exchange?.stop();
  }

  /** @throws SandboxError SANDBOX_PROTOCOL if the child has to be silent */
  assertNotAsking(): void {
    this.exchange?.assertNotAsking();
  }

  /** @throws SandboxError SANDBOX_PROTOCOL; SinkRejection */
  async takeSlow(answer: SlowAnswer): Promise<void> {
    const { exchange } = this;
    if (exchange === null) return this.refuse('a checkpoint of a task without a schedule');
    if (answer.kind === 'piece') return await exchange.takePiece(answer.place, answer.bytes);
    this.advance(answer.fuel, answer.step);
    await exchange.take(answer, this.ordinal);
  }

  /** The result once it has come. @throws SandboxError SANDBOX_PROTOCOL */
  take(answer: QuickAnswer): ResultAnswer | null {
    if (answer.kind === 'result') return this.takeResult(answer);
    this.exchange?.assertMayAnswer();
    switch (answer.kind) {
      case 'ready':
        return this.refuse('ready in the middle of a task');
      case 'log':
        this.countLog(answer.text.length + LOG_OVERHEAD_BYTES);
        this.sink.log(answer.stream, DECODER.decode(answer.text), this.ordinal);
        return null;
      case 'metric':
        this.countLog(answer.name.length + METRIC_OVERHEAD_BYTES);
        this.sink.metric(answer.name, formatMetricValue(answer.value), answer.step, this.ordinal);
        return null;
      case 'progress':
        this.advance(answer.fuel, answer.step);
        this.cpuTimeMs = Math.max(this.cpuTimeMs, Math.round(answer.cpuMicros / 1000));
        this.giveProgress();
        return null;
      case 'output':
        this.openOutput(answer.path, answer.sizeBytes);
        return null;
      case 'chunk':
        this.addChunk(answer.bytes);
        return null;
      default:
        return answer satisfies never;
    }
  }

  private takeResult(answer: ResultAnswer): ResultAnswer {
    if (this.isIncomplete()) this.refuse('an output is incomplete');
    const { outcome } = answer;
    if (this.exchange !== null) this.exchange.assertEnd(outcome);
    else if (outcome.kind === 'attempt-failed' && outcome.code === 'PAUSED') this.refuse('a pause that nobody ordered');
    return answer;
  }

  private advance(fuel: number, step: number): void {
    if (fuel < this.fuel || step < this.step) this.refuse('a program that goes back');
    this.fuel = fuel;
    this.step = step;
  }

  giveProgress(): void {
    this.sink.progress({ fuel: this.fuel, step: this.step, cpuTimeMs: this.cpuTimeMs });
  }

  private refuse(reason: string): never {
    throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
  }

  private countLog(bytes: number): void {
    this.ordinal += 1;
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
