import type { CheckpointSchedule } from '../../domain/job.ts';
import type { CheckpointHost, ResumeImage } from '../stepping/interface.ts';
import {
  COPY_BYTES_PER_FUEL,
  EVENT_FUEL,
  LOG_FUEL_PER_BYTE,
  LOG_OVERHEAD_BYTES,
  MAX_LOG_EVENT_BYTES,
  MAX_METRIC_NAME_BYTES,
  METRIC_OVERHEAD_BYTES,
  RANDOM_FUEL_PER_BYTE,
} from './constants.ts';
import type { GuestMemory } from './guest-memory.ts';
import { MetricsChain } from './metrics-chain.ts';
import { halt } from './program-halt.ts';
import { SeededRandom } from './seeded-random.ts';

export type LogStream = 'stdout' | 'stderr' | 'log';

export interface ProgramFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What the program is given, and its limits; all of it is part of the job. */
export interface ProgramTask {
  readonly arguments: readonly string[];
  readonly environment: readonly (readonly [name: string, value: string])[];
  readonly seed: Uint8Array;
  /** In ascending order of path. */
  readonly inputs: readonly ProgramFile[];
  readonly fuel: number;
  readonly outputBytes: number;
  readonly logBytes: number;
  /** Where `ProgramSink.checkpoint` is called; null is nowhere. */
  readonly checkpoints: CheckpointSchedule | null;
  /** A state of the same job to go on from; null begins at the beginning. */
  readonly resume: ResumeImage | null;
}

/**
 * Receives what a program gives while it runs. Bytes are valid during the call only. `ordinal` counts logs and metrics
 * from 1, those before a resumed state too.
 */
export interface ProgramSink {
  log(stream: LogStream, text: Uint8Array, ordinal: number): void;
  metric(step: number, name: Uint8Array, value: number, ordinal: number): void;
  /** Called between steps and in host calls; asks for the figures only if it wants them. */
  tick(read: () => { readonly fuel: number; readonly step: number }): void;
  /** Called where the task's schedule says; the program waits. */
  readonly checkpoint: CheckpointHost;
}

/** What the context counts, to go on from. */
export interface ProgramCounts {
  readonly fuelUsed: number;
  readonly step: number;
  readonly randomBytes: number;
  readonly logBytes: number;
  readonly logs: number;
  readonly metrics: number;
  readonly metricsHash: Uint8Array;
}

/** What host functions share: memory, fuel, and what has been given so far. */
export class ProgramContext {
  readonly task: ProgramTask;
  readonly random: SeededRandom;
  readonly sink: ProgramSink;
  step = 0;
  private readonly metricsChain = new MetricsChain();
  private loggedBytes = 0;
  private logs = 0;
  private metrics = 0;
  private attached: { readonly memory: GuestMemory; readonly fuel: WebAssembly.Global } | null = null;
  private readonly readProgress = () => ({ fuel: this.fuelUsed, step: this.step });

  constructor(task: ProgramTask, sink: ProgramSink) {
    this.task = task;
    this.sink = sink;
    this.random = new SeededRandom(task.seed);
  }

  /** Joins the context to an instance: host functions may be called from now on. */
  attach(memory: GuestMemory, fuel: WebAssembly.Global): void {
    fuel.value = BigInt(this.task.fuel);
    this.attached = { memory, fuel };
  }

  get counts(): ProgramCounts {
    const { fuelUsed, step, logs, metrics } = this;
    const { position: randomBytes } = this.random;
    return { fuelUsed, step, randomBytes, logBytes: this.loggedBytes, logs, metrics, metricsHash: this.metricsHash };
  }

  /** Goes on from there; call once, after `attach`. */
  restore(counts: ProgramCounts): void {
    if (this.attached !== null) this.attached.fuel.value = BigInt(this.task.fuel - counts.fuelUsed);
    this.step = counts.step;
    this.random.seek(counts.randomBytes);
    this.loggedBytes = counts.logBytes;
    this.logs = counts.logs;
    this.metrics = counts.metrics;
    this.metricsChain.restore(counts.metricsHash);
  }

  /** Logs and metrics given so far. */
  get ordinal(): number {
    return this.logs + this.metrics;
  }

  get memory(): GuestMemory {
    return this.attached?.memory ?? halt('TRAP', 'the host was called before the module was ready');
  }

  get fuelLeft(): bigint {
    // Only the instrumented module and this class write this i64 global, so its value is a bigint.
    return (this.attached?.fuel.value as bigint | undefined) ?? BigInt(this.task.fuel);
  }

  get fuelUsed(): number {
    const left = this.fuelLeft;
    return left <= 0n ? this.task.fuel : this.task.fuel - Number(left);
  }

  charge(fuel: number): void {
    if (this.attached === null) return;
    const left = this.fuelLeft - BigInt(Math.ceil(fuel));
    this.attached.fuel.value = left;
    if (left < 0n) halt('OUT_OF_FUEL', '');
  }

  chargeCopy(bytes: number): void {
    this.charge(bytes / COPY_BYTES_PER_FUEL);
  }

  tick(): void {
    this.sink.tick(this.readProgress);
  }

  private takeLogBytes(bytes: number): void {
    this.charge(EVENT_FUEL + bytes * LOG_FUEL_PER_BYTE);
    this.loggedBytes += bytes;
    if (this.loggedBytes > this.task.logBytes) halt('LOG_LIMIT', `more than ${this.task.logBytes} bytes of logs`);
  }

  log(stream: LogStream, text: Uint8Array): void {
    for (let start = 0; start === 0 || start < text.length; start += MAX_LOG_EVENT_BYTES) {
      const part = text.subarray(start, start + MAX_LOG_EVENT_BYTES);
      this.takeLogBytes(part.length + LOG_OVERHEAD_BYTES);
      this.logs++;
      this.sink.log(stream, part, this.ordinal);
    }
    this.tick();
  }

  metric(name: Uint8Array, value: number): void {
    if (name.length > MAX_METRIC_NAME_BYTES) halt('TRAP', 'the name of a metric is too long');
    this.takeLogBytes(name.length + METRIC_OVERHEAD_BYTES);
    this.metrics++;
    this.metricsChain.append(this.step, name, value);
    this.sink.metric(this.step, name, value, this.ordinal);
    this.tick();
  }

  fillRandom(target: Uint8Array): void {
    this.charge(target.length * RANDOM_FUEL_PER_BYTE);
    this.random.fill(target);
  }

  get metricsHash(): Uint8Array {
    return this.metricsChain.head;
  }
}
