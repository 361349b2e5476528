import type { ExecutorKind, IsolationLevel } from '../../src/domain/capability.ts';
import type { Outcome } from '../../src/domain/receipt.ts';
import type { AbortOptions } from '../../src/lib/abort.ts';
import type {
  ExecutionResult,
  ExecutionSink,
  ExecutionTask,
  Executor,
  InputFile,
} from '../../src/sandbox/interface.ts';

/** One execution that a test holds open. */
export interface HeldExecution {
  readonly task: ExecutionTask;
  readonly sink: ExecutionSink;
  readonly signal: AbortSignal;
  finish(result?: Partial<ExecutionResult>): void;
  crash(error: Error): void;
}

export type Behaviour = (execution: HeldExecution) => void;

/** Runs nothing: a test says how each execution goes, at once or later. An abort ends it as a real executor would. */
export class ScriptedExecutor implements Executor {
  readonly kind: ExecutorKind = 'wasm';
  readonly instrumenter = 'scripted/1';
  isolation: readonly IsolationLevel[];
  behaviour: Behaviour;
  readonly held: HeldExecution[] = [];
  readonly warmed: string[] = [];
  running = 0;
  peak = 0;

  constructor(isolation: readonly IsolationLevel[] = ['process', 'bubblewrap'], behaviour?: Behaviour) {
    this.isolation = isolation;
    this.behaviour = behaviour ?? ((execution) => execution.finish());
  }

  async warm(requester: string): Promise<void> {
    this.warmed.push(requester);
  }

  async execute(task: ExecutionTask, sink: ExecutionSink, options: AbortOptions): Promise<ExecutionResult> {
    const signal = options.signal ?? new AbortController().signal;
    this.running += 1;
    this.peak = Math.max(this.peak, this.running);
    const { promise, resolve, reject } = Promise.withResolvers<ExecutionResult>();
    const isolation = task.isolation;
    const cancelled: Outcome = { kind: 'attempt-failed', code: 'CANCELLED', detail: 'aborted' };
    signal.addEventListener('abort', () => resolve(describe({ outcome: cancelled }, isolation)), { once: true });
    const execution: HeldExecution = {
      task,
      sink,
      signal,
      finish: (result = {}) => resolve(describe(result, isolation)),
      crash: reject,
    };
    this.held.push(execution);
    this.behaviour(execution);
    try {
      return await promise;
    } finally {
      this.running -= 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function describe(result: Partial<ExecutionResult>, isolation: IsolationLevel): ExecutionResult {
  const outputs: readonly InputFile[] = [{ path: '/out.txt', bytes: new TextEncoder().encode('42') }];
  return {
    outcome: { kind: 'completed' },
    outputs,
    fuel: 7,
    steps: 1,
    metricsHash: new Uint8Array(32).fill(1),
    instrumentedModuleDigest: new Uint8Array(32).fill(2),
    report: { executor: 'wasm', isolation, controls: ['scripted'], engine: 'scripted' },
    usage: { cpuTimeMs: 1, wallTimeMs: 2, peakMemoryBytes: 65_536 },
    ...result,
  };
}
