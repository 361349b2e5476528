/**
 * sandbox owns running strangers' programs inside limits: executors, isolation levels, resource controls, pools of
 * children. It does not own which job runs (scheduler) nor what is claimed about it (bundle).
 * An executor never throws for what a program does: that is an Outcome. It throws SandboxError for what the host lacks.
 */
import type { ExecutorKind, IsolationLevel } from '../domain/capability.ts';
import type { PeerKey } from '../domain/ids.ts';
import type { CheckpointSchedule, Resources, Workload } from '../domain/job.ts';
import type { ProgramNeeds } from '../domain/program-needs.ts';
import type { Outcome, SandboxReport } from '../domain/receipt.ts';
import type { SnapshotState } from '../domain/snapshot.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { SandboxError } from './errors.ts';
import type { GpuPlan } from './gpu/interface.ts';

export interface InputFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface ExecutionTask {
  /** Children are never shared between requesters. */
  readonly requester: PeerKey;
  readonly isolation: IsolationLevel;
  readonly workload: Workload;
  /** Bytes of the workload's `findProgramBlob`: equal ones are instrumented, or unpacked, once. Null where it names none. */
  readonly module: Uint8Array | null;
  /** What an image is made of; absent where the workload runs none. */
  readonly image?: ImageSource | undefined;
  readonly inputs: readonly InputFile[];
  readonly resources: Resources;
  /** At which steps `ExecutionSink.checkpoint` is called; null is never. */
  readonly checkpoints: CheckpointSchedule | null;
  /** Goes on from this state; null begins at the beginning. */
  readonly resume: ResumeState | null;
  /** Its child ends with it, and nothing that the child says of itself is logged. */
  readonly isConfidential?: boolean;
  /** GPUs that the program is given; absent: none, and it sees none. */
  readonly gpus?: GpuPlan;
}

/** The parts of an image, read from its beginning each time. Nothing of them is checked against their digests yet. */
export interface ImageSource {
  /** A layer by its place, the lowest is 0. @throws Error where its bytes are not to be had any more */
  open(part: 'manifest' | 'configuration' | number): AsyncIterable<Uint8Array>;
}

/** A state to go on from. What it gives is checked against nothing here: the first checkpoint's state root tells. */
export interface ResumeState {
  readonly step: number;
  readonly state: SnapshotState;
  /** The state's distinct pieces in the order of `listPieces` (src/proofs/state-pieces.ts), unsealed; read once. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** The state of a program at a checkpoint. It waits until the order that answers it has been carried out. */
export interface StateCheckpoint {
  readonly step: number;
  /** Null where the kind of work has none. */
  readonly fuel: number | null;
  /** `start`: before the first step, or as it was resumed. `end`: it is done; no other follows. */
  readonly place: 'start' | 'middle' | 'end';
  readonly stateRoot: Uint8Array;
  readonly metricsHash: Uint8Array;
  /** Logs and metrics that the program has given so far. */
  readonly ordinal: number;
  readonly state: SnapshotState;
  /** Distinct pieces of the state, without the page of zeros: their SHA-256, one after the other. Found when first read. */
  readonly pieces: Uint8Array;
}

export interface CheckpointOrder {
  /** Pieces to be given, by their place in `StateCheckpoint.pieces`, ascending; empty if none. */
  readonly wanted: readonly number[];
  /**
   * Called in order, each piece once and after the one before has resolved; `bytes` may be kept. Not yet hashed by the
   * host. The program goes on when it has handed out the last; what it gives then waits until `complete` has resolved.
   */
  readonly receive: (place: number, bytes: Uint8Array) => Promise<void>;
  /** Called once all were received; a rejection is the attempt's failure, as one of `receive` is. */
  readonly complete: () => Promise<void>;
  /** `halt` ends the run with `attempt-failed` PAUSED. */
  readonly then: 'continue' | 'halt';
}

/** What a running program gives before it ends. Calls come in program order. */
export interface ExecutionSink {
  /** `ordinal` counts the program's logs and metrics from 1; a resumed program goes on where its state was. */
  log(stream: 'stdout' | 'stderr' | 'log', text: string, ordinal: number): void;
  /** `value` in the form of the `metric` event (domain/messages.ts). */
  metric(name: string, value: string, step: number, ordinal: number): void;
  /** At least every 250 ms of run time while the program makes steps or the engine can tell. Fuel is null where it has none. */
  progress(progress: { readonly fuel: number | null; readonly step: number; readonly cpuTimeMs: number }): void;
  /** Called where the task names a schedule: at the start, at its steps, at the end. Its rejection ends the attempt. */
  checkpoint(checkpoint: StateCheckpoint): Promise<CheckpointOrder>;
}

export interface ExecutionResult {
  readonly outcome: Outcome;
  readonly outputs: readonly InputFile[];
  /** Null where the kind of work has none. */
  readonly fuel: number | null;
  readonly steps: number;
  readonly metricsHash: Uint8Array;
  /** SHA-256 of the module as it ran; null if it was refused before that. */
  readonly instrumentedModuleDigest: Uint8Array | null;
  readonly report: SandboxReport;
  readonly usage: { readonly cpuTimeMs: number; readonly wallTimeMs: number; readonly peakMemoryBytes: number };
}

export interface ExecutionOptions extends AbortOptions {
  /**
   * Aborts once the program is to be halted at its next checkpoint: where it can be told, it may come to one sooner. What
   * halts it is the order of that checkpoint.
   */
  readonly pausing?: AbortSignal;
}

export interface Executor extends AsyncDisposable {
  readonly kind: ExecutorKind;
  /** Levels that work on this host, found by trying; empty means that this executor is off. */
  readonly isolation: readonly IsolationLevel[];
  /** What decides, besides the program, what it gives: equal across the replicas of a job. Of `wasm` the instrumenter. */
  readonly instrumenter: string;
  /** What of these needs this host does not give, found before anything of the job is here; null if it gives all of it. Absent: it has none. */
  findUnmetNeed?(needs: ProgramNeeds): SandboxError | null;
  /** True if it can give GPUs to a program, and keeps the others from it. */
  readonly lendsGpus?: boolean;
  /** Starts a child ahead of need; does nothing where children are not kept. */
  warm(requester: PeerKey, isolation: IsolationLevel): Promise<void>;
  /**
   * Runs a task to its end. An abort kills it and gives `attempt-failed` CANCELLED.
   * @throws SandboxError (SANDBOX_RESUME_STATE if the state to go on from is not whole or not of this job); whatever
   * `checkpoint`, `receive` or `complete` of the sink rejects with
   */
  execute(task: ExecutionTask, sink: ExecutionSink, options: ExecutionOptions): Promise<ExecutionResult>;
}

/** What the host has at one moment. */
export interface HostMeasure {
  readonly memory: {
    /** What programs of this host may hold: its memory, or what a control group of ours leaves us; the smaller. */
    readonly limitBytes: number;
    /** What can be had without swapping, within that limit. */
    readonly availableBytes: number;
    /** What the children of this process hold; it comes free when they end. */
    readonly childrenBytes: number;
  };
  /** Free for us on the disk of the data folder. */
  readonly diskFreeBytes: number;
  /** Mean delay of this process's event loop since the last measure, ms. */
  readonly loopDelayMs: number;
  /** Share of the last 10 s in which something waited for a processor, percent; null where the kernel does not say. */
  readonly cpuPressure: number | null;
}

/** Measures this host for who decides what it can take on. */
export interface HostCapacity extends Disposable {
  /** Takes about a millisecond. @throws Error if the disk cannot be asked; what else cannot be read is left out */
  measure(): Promise<HostMeasure>;
}

/** One line of `fogproof doctor`. */
export interface HostCheck {
  readonly name: string;
  readonly status: 'ok' | 'degraded' | 'missing';
  readonly detail: string;
  /** What to install or change; null if nothing. */
  readonly remedy: string | null;
}
