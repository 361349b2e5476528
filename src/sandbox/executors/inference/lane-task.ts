import type { InferenceWorkload } from '../../../domain/inference-workload.ts';
import type { Resources } from '../../../domain/job.ts';
import type { Outcome } from '../../../domain/receipt.ts';
import type { ExecutionSink } from '../../interface.ts';
import type { BatchCandidate } from './choose-batch.ts';
import type { InferenceItem } from './plan-items.ts';
import type { ItemAnswer } from './result-cache.ts';

export type Failure = Exclude<Outcome, { kind: 'completed' }>;

export interface LaneTaskParts {
  readonly workload: InferenceWorkload;
  readonly model: Uint8Array;
  /** SHA-256 of the model, hex. */
  readonly modelDigest: string;
  readonly items: readonly InferenceItem[];
  readonly limits: Pick<Resources, 'wallTimeMs' | 'outputBytes'>;
  /** Bytes that other items of the job have given already. */
  readonly outputBytesBefore: number;
  readonly itemsBefore: number;
  readonly sink: Pick<ExecutionSink, 'progress'>;
  readonly isConfidential: boolean;
  /** Called for each item as it is answered, with the rows of the call that it was part of. */
  readonly onAnswer: (item: InferenceItem, answer: ItemAnswer, batchRows: number) => void;
}

/** What one attempt took of a lane. */
export interface LaneEnd {
  /** Null: every item was answered. */
  readonly failure: Failure | null;
  readonly calls: number;
  readonly largestBatchRows: number;
  readonly wallTimeMs: number;
  readonly cpuTimeMs: number;
  readonly peakMemoryBytes: number;
}

/** One attempt while it waits in a lane and runs there. */
export class LaneTask implements BatchCandidate {
  readonly parts: LaneTaskParts;
  readonly session: string;
  readonly batchRows: number | null;
  readonly ended: Promise<LaneEnd>;
  isAlone: boolean;
  waiting: readonly InferenceItem[];
  /** Of the calls that it was part of, ms. */
  usedMs = 0;
  cpuTimeMs = 0;
  calls = 0;
  largestBatchRows = 0;
  peakMemoryBytes = 0;
  /** What its items have given. */
  outputBytes: number;
  isOver = false;
  readonly #resolve: (end: LaneEnd) => void;
  readonly #reject: (error: unknown) => void;

  constructor(parts: LaneTaskParts) {
    const { workload, modelDigest, items, outputBytesBefore, isConfidential } = parts;
    const { promise, resolve, reject } = Promise.withResolvers<LaneEnd>();
    this.parts = parts;
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const { threads, optimization, deterministic } = workload;
    this.session = JSON.stringify([modelDigest, threads, optimization, deterministic]);
    this.batchRows = workload.batchRows;
    this.waiting = items;
    this.isAlone = isConfidential;
    this.outputBytes = outputBytesBefore;
  }

  get itemsDone(): number {
    return this.parts.itemsBefore + this.parts.items.length - this.waiting.length;
  }

  /** Most that the next item may give. */
  get leftBytes(): number {
    return Math.max(0, this.parts.limits.outputBytes - this.outputBytes);
  }

  get leftMs(): number {
    return Math.max(0, this.parts.limits.wallTimeMs - this.usedMs);
  }

  answer(item: InferenceItem, answer: ItemAnswer, batchRows: number): void {
    if (this.isOver) return;
    this.waiting = this.waiting.filter((other) => other !== item);
    this.outputBytes += answer.outputs.reduce((sum, { file }) => sum + file.length, 0);
    if (this.outputBytes > this.parts.limits.outputBytes) return this.fail({ code: 'OUTPUT_LIMIT', detail: '' });
    this.parts.onAnswer(item, answer, batchRows);
    if (this.waiting.length === 0) this.end(null);
  }

  showLife(): void {
    this.parts.sink.progress({ fuel: null, step: this.itemsDone, cpuTimeMs: Math.round(this.cpuTimeMs) });
  }

  endOvertime(): void {
    const { wallTimeMs } = this.parts.limits;
    this.usedMs = wallTimeMs;
    this.end({ kind: 'attempt-failed', code: 'WALL_TIME', detail: `ran for ${wallTimeMs} ms` });
  }

  /** Through its own model or items. */
  fail({
    code,
    detail,
  }: {
    readonly code: Extract<Failure, { kind: 'program-failed' }>['code'];
    readonly detail: string;
  }): void {
    this.end({ kind: 'program-failed', code, detail: cleanDetail(detail) });
  }

  /** The host lacks what it takes to run it at all. */
  reject(error: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#reject(error);
  }

  end(failure: Failure | null): void {
    if (this.isOver) return;
    this.isOver = true;
    const { calls, largestBatchRows, peakMemoryBytes } = this;
    const [wallTimeMs, cpuTimeMs] = [this.usedMs, this.cpuTimeMs];
    this.#resolve({ failure, calls, largestBatchRows, peakMemoryBytes, wallTimeMs, cpuTimeMs });
  }
}

/** Text of a model's own: names of nodes are in what the runtime says. */
function cleanDetail(detail: string): string {
  return detail
    .toWellFormed()
    .replaceAll(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, 300);
}
