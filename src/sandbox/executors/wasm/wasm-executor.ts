import { hash } from 'node:crypto';
import type { IsolationLevel } from '../../../domain/capability.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import type { Outcome, SandboxReport } from '../../../domain/receipt.ts';
import type { AbortOptions } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger, MetricsRegistry } from '../../../telemetry/interface.ts';
import { INSTRUMENTER } from '../../../wasm/constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionResult, ExecutionSink, ExecutionTask, Executor } from '../../interface.ts';
import type { ChildProgram } from '../../isolation/child-program.ts';
import { type IsolationOffer, probeIsolation } from '../../isolation/probe-isolation.ts';
import { createSandboxMetrics, type SandboxMetrics } from '../../metrics.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS, type WasmExecutorOptions } from '../../options.ts';
import { Slots } from '../slots.ts';
import { ChildPool, type PooledChild } from './child-pool.ts';
import { createChildTask, requireWasmTask } from './create-child-task.ts';
import { InstrumentedModules, type InstrumentedStore } from './instrumented-modules.ts';
import { type ChildTask, SandboxChild, type TaskEnd } from './sandbox-child.ts';

export interface WasmExecutorModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Keeps large modules instrumented between children; without it each child instruments for itself. */
  readonly instrumented?: InstrumentedStore;
}

const ENGINE = `node ${process.version} v8 ${process.versions.v8}`;
/** SHA-256 of no bytes: the hash of no metrics. */
const NO_METRICS = new Uint8Array(hash('sha256', '', 'buffer'));

interface TaskRun {
  readonly task: ExecutionTask;
  readonly childTask: ChildTask;
}

/** Runs `wasm` workloads in sandboxed children: per requester, warm, one task at a time. */
export class WasmExecutor implements Executor {
  readonly kind = 'wasm';
  readonly instrumenter = INSTRUMENTER;
  readonly isolation: readonly IsolationLevel[];
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: SandboxMetrics;
  private readonly options: WasmExecutorOptions;
  private readonly offers: ReadonlyMap<IsolationLevel, IsolationOffer>;
  private readonly pool: ChildPool;
  private readonly slots: Slots;
  private readonly instrumented: InstrumentedModules | null;
  private readonly digests = new WeakMap<Uint8Array, Buffer>();
  private isClosed = false;

  /** `offers` are what `probeIsolation` found with the same options. */
  constructor(
    modules: WasmExecutorModules,
    options: WasmExecutorOptions & { readonly offers: readonly IsolationOffer[] },
  ) {
    this.clock = modules.clock;
    this.logger = modules.logger;
    this.metrics = createSandboxMetrics(modules.metrics);
    this.options = options;
    this.offers = new Map(options.offers.map((offer) => [offer.isolation, offer]));
    this.isolation = [...this.offers.keys()];
    this.slots = new Slots(options.slots);
    const { metrics } = this;
    const createChild = (isolation: IsolationLevel): SandboxChild => this.createChild(isolation);
    const { instrumented: store } = modules;
    this.instrumented = store === undefined ? null : new InstrumentedModules({ store, metrics, createChild });
    this.pool = new ChildPool(
      { ...modules, metrics, createChild },
      { maxChildren: Math.max(options.maxChildren, options.slots), idleExpiryMs: options.idleExpiryMs },
    );
  }

  private createChild(isolation: IsolationLevel): SandboxChild {
    const { plan, cgroups } = this.requireOffer(isolation);
    return new SandboxChild(this.clock, { plan, cgroups, maxMemoryBytes: this.options.maxMemoryBytes });
  }

  private requireOffer(isolation: IsolationLevel): IsolationOffer {
    const offer = this.offers.get(isolation);
    if (offer === undefined) throw new SandboxError({ code: 'SANDBOX_ISOLATION_UNAVAILABLE', isolation });
    return offer;
  }

  async warm(requester: PeerKey, isolation: IsolationLevel): Promise<void> {
    if (this.isClosed) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    this.requireOffer(isolation);
    if (this.pool.hasIdle(requester, isolation)) return;
    this.pool.release(await this.pool.acquire(requester, isolation));
  }

  async execute(task: ExecutionTask, sink: ExecutionSink, options: AbortOptions): Promise<ExecutionResult> {
    if (this.isClosed) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    this.requireOffer(task.isolation);
    this.assertLimits(task);
    const wasmTask = requireWasmTask(task);
    const childTask = createChildTask(wasmTask, this.digestOf(wasmTask.module));
    const signal = options.signal ?? new AbortController().signal;
    const startedAtMs = this.clock.monotonicMs();
    const end = await this.runInSlot({ task, childTask }, sink, signal);
    if (end?.kind === 'refused') {
      this.metrics.tasks.increment({ outcome: 'refused' });
      throw end.error;
    }
    const result = this.toResult(task, end, this.clock.monotonicMs() - startedAtMs);
    const { outcome } = result;
    this.metrics.tasks.increment({ outcome: outcome.kind === 'completed' ? 'completed' : outcome.code });
    this.metrics.taskSeconds.observe(result.usage.wallTimeMs / 1000, { isolation: task.isolation });
    return result;
  }

  private assertLimits(task: ExecutionTask): void {
    const refuse = (what: string, asked: number, limit: number): void => {
      if (asked > limit) throw new SandboxError({ code: 'SANDBOX_LIMIT_UNAVAILABLE', what, asked, limit });
    };
    const { options } = this;
    refuse('bytes of memory', task.resources.memoryBytes, options.maxMemoryBytes);
    refuse('bytes of output', task.resources.outputBytes, options.maxOutputBytes);
    const inputBytes = task.inputs.reduce((sum, input) => sum + input.bytes.length, 0);
    refuse('bytes of input', inputBytes, options.maxInputBytes);
  }

  /** Null if it was cancelled before it had a child. */
  private async runInSlot(run: TaskRun, sink: ExecutionSink, signal: AbortSignal): Promise<TaskEnd | null> {
    const { task } = run;
    try {
      await this.slots.take(signal);
    } catch {
      return null;
    }
    try {
      const pooled = await this.pool.acquire(task.requester, task.isolation);
      try {
        return signal.aborted ? null : await this.runInChild(run, pooled, sink, signal);
      } finally {
        // What it has read stays in its memory.
        if (task.isConfidential === true) pooled.child.kill('its task was confidential');
        this.pool.release(pooled);
      }
    } finally {
      this.slots.give();
    }
  }

  private async runInChild(
    { task, childTask }: TaskRun,
    pooled: PooledChild,
    sink: ExecutionSink,
    signal: AbortSignal,
  ): Promise<TaskEnd> {
    const { child } = pooled;
    const ready = (await this.instrumented?.replaceModule(childTask, child, task.isolation)) ?? childTask;
    const end = await child.run(ready, sink, signal);
    if (end.kind === 'killed' && end.outcome.code === 'EXECUTOR_CRASHED') {
      this.metrics.childCrashes.increment({ isolation: task.isolation });
      const detail = task.isConfidential === true ? 'its task was confidential' : end.outcome.detail;
      this.logger.warn({ isolation: task.isolation, detail }, 'a sandboxed child ended unasked');
    }
    return end;
  }

  private digestOf(module: Uint8Array): Buffer {
    const known = this.digests.get(module);
    if (known !== undefined) return known;
    const digest = hash('sha256', module, 'buffer');
    this.digests.set(module, digest);
    return digest;
  }

  private toResult(
    task: ExecutionTask,
    end: Exclude<TaskEnd, { kind: 'refused' }> | null,
    elapsedMs: number,
  ): ExecutionResult {
    const wallTimeMs = Math.round(elapsedMs);
    const report = this.describeSandbox(task.isolation);
    if (end?.kind === 'result') {
      const { answer, outputs } = end;
      const cpuTimeMs = Math.round(answer.cpuMicros / 1000);
      return {
        outcome: answer.outcome,
        outputs,
        fuel: answer.fuel,
        steps: answer.steps,
        metricsHash: answer.metricsHash,
        instrumentedModuleDigest: answer.moduleDigest,
        report,
        usage: { cpuTimeMs, wallTimeMs, peakMemoryBytes: answer.memoryBytes },
      };
    }
    const outcome: Outcome = end?.outcome ?? { kind: 'attempt-failed', code: 'CANCELLED', detail: 'cancelled' };
    return {
      outcome,
      outputs: [],
      fuel: end?.answers.fuel ?? 0,
      steps: end?.answers.step ?? 0,
      metricsHash: NO_METRICS,
      instrumentedModuleDigest: null,
      report,
      usage: { cpuTimeMs: end?.answers.cpuTimeMs ?? 0, wallTimeMs, peakMemoryBytes: 0 },
    };
  }

  private describeSandbox(isolation: IsolationLevel): SandboxReport {
    return { executor: 'wasm', isolation, controls: [...this.requireOffer(isolation).controls], engine: ENGINE };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    await this.instrumented?.[Symbol.asyncDispose]();
    await this.pool[Symbol.asyncDispose]();
  }
}

/** Tries what this host can isolate and builds the executor for it; `isolation` is empty if nothing works. */
export async function createWasmExecutor(
  modules: WasmExecutorModules,
  options: Partial<WasmExecutorOptions> = {},
  program?: ChildProgram,
): Promise<WasmExecutor> {
  const whole = { ...DEFAULT_WASM_EXECUTOR_OPTIONS, ...options };
  const probe = await probeIsolation(modules.clock, whole, program);
  for (const failure of probe.failures) {
    modules.logger.warn(
      { isolation: failure.isolation, reason: failure.reason },
      'an isolation level does not work here',
    );
  }
  return new WasmExecutor(modules, { ...whole, offers: probe.offers });
}
