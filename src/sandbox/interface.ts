/**
 * sandbox owns running strangers' programs inside limits: executors, isolation levels, resource controls, pools of
 * children. It does not own which job runs (scheduler) nor what is claimed about it (bundle).
 * An executor never throws for what a program does: that is an Outcome. It throws SandboxError for what the host lacks.
 */
import type { ExecutorKind, IsolationLevel } from '../domain/capability.ts';
import type { PeerKey } from '../domain/ids.ts';
import type { Resources, Workload } from '../domain/job.ts';
import type { Outcome, SandboxReport } from '../domain/receipt.ts';
import type { AbortOptions } from '../lib/abort.ts';

export interface InputFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface ExecutionTask {
  /** Children are never shared between requesters. */
  readonly requester: PeerKey;
  readonly isolation: IsolationLevel;
  readonly workload: Workload;
  /** The module's bytes; equal bytes are instrumented and compiled once. */
  readonly module: Uint8Array;
  readonly inputs: readonly InputFile[];
  readonly resources: Resources;
}

/** What a running program gives before it ends. Calls come in program order. */
export interface ExecutionSink {
  log(stream: 'stdout' | 'stderr' | 'log', text: string): void;
  /** `value` in the form of the `metric` event (domain/messages.ts). */
  metric(name: string, value: string, step: number): void;
  /** At least every 250 ms of run time while the program makes steps or the engine can tell. */
  progress(progress: { readonly fuel: number; readonly step: number; readonly cpuTimeMs: number }): void;
}

export interface ExecutionResult {
  readonly outcome: Outcome;
  readonly outputs: readonly InputFile[];
  readonly fuel: number;
  readonly steps: number;
  readonly metricsHash: Uint8Array;
  /** SHA-256 of the module as it ran; null if it was refused before that. */
  readonly instrumentedModuleDigest: Uint8Array | null;
  readonly report: SandboxReport;
  readonly usage: { readonly cpuTimeMs: number; readonly wallTimeMs: number; readonly peakMemoryBytes: number };
}

export interface Executor extends AsyncDisposable {
  readonly kind: ExecutorKind;
  /** Levels that work on this host, found by trying; empty means that this executor is off. */
  readonly isolation: readonly IsolationLevel[];
  readonly instrumenter: string;
  /** Starts a child ahead of need. */
  warm(requester: PeerKey, isolation: IsolationLevel): Promise<void>;
  /** Runs a task to its end. An abort kills it and gives `attempt-failed` CANCELLED. @throws SandboxError */
  execute(task: ExecutionTask, sink: ExecutionSink, options: AbortOptions): Promise<ExecutionResult>;
}

/** One line of `fogproof doctor`. */
export interface HostCheck {
  readonly name: string;
  readonly status: 'ok' | 'degraded' | 'missing';
  readonly detail: string;
  /** What to install or change; null if nothing. */
  readonly remedy: string | null;
}
