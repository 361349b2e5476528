import { hash } from 'node:crypto';
import { posix } from 'node:path';
import type { IsolationLevel } from '../../../domain/capability.ts';
import type { CommandWorkload } from '../../../domain/job.ts';
import type { Outcome, SandboxReport } from '../../../domain/receipt.ts';
import type { AbortOptions } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, InternalError } from '../../../lib/errors.ts';
import type { Logger, MetricsRegistry } from '../../../telemetry/interface.ts';
import { COMMAND_OVERHEAD_BYTES, COMMAND_OVERHEAD_TASKS } from '../../constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionResult, ExecutionSink, ExecutionTask, Executor, InputFile } from '../../interface.ts';
import { type Cgroup, nameGroup } from '../../limits/cgroup.ts';
import { createSandboxMetrics, type SandboxMetrics } from '../../metrics.ts';
import { type HeldRoot, RootCache, type Unpack } from '../../roots/root-cache.ts';
import { unpackArchive } from '../../roots/unpack-archive.ts';
import { Slots } from '../slots.ts';
import type { CommandRlimits } from './command-plan.ts';
import { type CommandEnd, runCommand } from './command-run.ts';
import type { CommandExecutorOptions } from './options.ts';
import type { CommandOffer } from './probe-command.ts';
import { type RootView, viewArchive, viewHost } from './root-view.ts';

export interface CommandExecutorModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** SHA-256 of no bytes: the hash of no metrics. */
const NO_METRICS = new Uint8Array(hash('sha256', '', 'buffer'));
const NO_USE = { cpuTimeMs: null, peakMemoryBytes: null, memoryKills: 0, refusedTasks: 0 };

interface CommandTask extends ExecutionTask {
  readonly workload: CommandWorkload;
}

let groupCount = 0;

/** Runs `command` workloads, each in a sandbox of its own that ends with it. */
export class CommandExecutor implements Executor {
  readonly kind = 'command';
  /** What programs see besides their root: another version, or another processor, may give other results. */
  readonly instrumenter = `command/1 linux-${process.arch}`;
  readonly isolation: readonly IsolationLevel[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: SandboxMetrics;
  readonly #options: CommandExecutorOptions;
  readonly #offer: CommandOffer | null;
  readonly #roots: RootCache;
  readonly #slots: Slots;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly #digests = new WeakMap<Uint8Array, string>();

  /** `offer` is what `probeCommand` found; null where nothing works, and the executor is off. */
  constructor(
    modules: CommandExecutorModules,
    { offer, ...options }: CommandExecutorOptions & { readonly offer: CommandOffer | null },
  ) {
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#metrics = createSandboxMetrics(modules.metrics);
    this.#options = options;
    this.#offer = offer;
    this.isolation = offer === null ? [] : ['bubblewrap'];
    this.#roots = new RootCache(modules, { folder: options.rootsFolder, maxBytes: options.rootsBytes });
    this.#slots = new Slots(options.slots);
  }

  /** Every command has a sandbox of its own: there is nothing to keep warm. */
  async warm(): Promise<void> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    this.#requireOffer();
  }

  async execute(task: ExecutionTask, sink: ExecutionSink, options: AbortOptions): Promise<ExecutionResult> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    const offer = this.#requireOffer();
    const command = requireCommandTask(task);
    this.#assertLimits(command);
    const startedAtMs = this.#clock.monotonicMs();
    const signals = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const running = this.#runInSlot(command, offer, { sink, signal: AbortSignal.any(signals) });
    this.#running.add(running);
    try {
      const end = await running;
      const elapsedMs = this.#clock.monotonicMs() - startedAtMs;
      const { outcome } = end;
      this.#metrics.tasks.increment({ outcome: outcome.kind === 'completed' ? 'completed' : outcome.code });
      this.#metrics.taskSeconds.observe(elapsedMs / 1000, { isolation: 'bubblewrap' });
      return this.#toResult(command, offer, end);
    } finally {
      this.#running.delete(running);
    }
  }

  #requireOffer(): CommandOffer {
    if (this.#offer !== null) return this.#offer;
    throw new SandboxError({ code: 'SANDBOX_ISOLATION_UNAVAILABLE', isolation: 'bubblewrap' });
  }

  #assertLimits({ resources, inputs, workload }: CommandTask): void {
    const refuse = (what: string, asked: number, limit: number): void => {
      if (asked > limit) throw new SandboxError({ code: 'SANDBOX_LIMIT_UNAVAILABLE', what, asked, limit });
    };
    const { limits, root } = workload;
    const { maxMemoryBytes, maxOutputBytes, maxInputBytes, maxCpus, maxProcesses, hostRoot } = this.#options;
    refuse('bytes of memory', resources.memoryBytes, maxMemoryBytes);
    refuse('bytes of output', resources.outputBytes, maxOutputBytes);
    refuse('bytes of input', countBytes(inputs), maxInputBytes);
    refuse('thousandths of a processor', limits.cpus, maxCpus);
    refuse('processes', limits.processes, maxProcesses);
    if (root.kind === 'host' && !hostRoot) throw new SandboxError({ code: 'SANDBOX_HOST_ROOT_OFF' });
  }

  async #runInSlot(task: CommandTask, offer: CommandOffer, run: RunContext): Promise<CommandEnd> {
    try {
      await this.#slots.take(run.signal);
    } catch {
      return cancelled();
    }
    try {
      using root = await this.#holdRoot(task, run.signal);
      return await this.#runIn(root.view, task, { ...run, offer });
    } catch (error) {
      if (run.signal.aborted) return cancelled();
      if (error instanceof SandboxError && error.code === 'SANDBOX_ROOT_REFUSED') {
        return ended({ kind: 'program-failed', code: 'PROGRAM_REFUSED', detail: error.message.slice(0, 300) });
      }
      throw error;
    } finally {
      this.#slots.give();
    }
  }

  #digestOf(module: Uint8Array): string {
    const digest = this.#digests.get(module) ?? hash('sha256', module, 'hex');
    this.#digests.set(module, digest);
    return digest;
  }

  /** @throws SandboxError */
  async #holdRoot({ workload, module }: CommandTask, signal: AbortSignal): Promise<ViewedRoot> {
    if (workload.root.kind === 'host') return { view: viewHost(), [Symbol.dispose]: () => {} };
    if (module === null) throw new InternalError('a command without the archive of its root');
    let held: HeldRoot;
    try {
      const unpack: Unpack = (folder, limits) => unpackArchive(module, folder, limits);
      held = await this.#roots.hold(this.#digestOf(module), unpack, signal);
    } catch (error) {
      if (error instanceof SandboxError || signal.aborted) throw error;
      throw new SandboxError({ code: 'SANDBOX_ROOT_UNAVAILABLE', reason: describeError(error) }, { cause: error });
    }
    return { view: viewArchive(held.folder), [Symbol.dispose]: () => held[Symbol.dispose]() };
  }

  async #runIn(
    view: RootView,
    task: CommandTask,
    run: RunContext & { readonly offer: CommandOffer },
  ): Promise<CommandEnd> {
    const { workload, resources } = task;
    const inputs = task.inputs.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const misplaced = inputs.find(({ path }) => view.folders.has(path.split('/')[1] ?? ''));
    if (misplaced !== undefined) {
      const folder = posix.join('/', misplaced.path.split('/')[1] ?? '');
      return ended({
        kind: 'program-failed',
        code: 'PROGRAM_REFUSED',
        detail: `an input lies in ${folder.slice(0, 100)}, which the root has as well`,
      });
    }
    const { offer, sink, signal } = run;
    const cgroup = this.#createGroup(offer, task);
    const end = await runCommand(
      {
        clock: this.#clock,
        tools: offer.tools,
        filter: offer.filter,
        start: {
          root: view,
          workload,
          outputBytes: resources.outputBytes,
          inputPaths: inputs.map(({ path }) => path),
          rlimits: cgroup === null ? rlimitsOf(task) : null,
        },
        inputs,
        cgroup,
        limits: resources,
      },
      sink,
      signal,
    );
    if (end.outcome.kind === 'attempt-failed' && end.outcome.code === 'EXECUTOR_CRASHED') {
      this.#metrics.childCrashes.increment({ isolation: 'bubblewrap' });
      const detail = task.isConfidential === true ? 'its task was confidential' : end.outcome.detail;
      this.#logger.warn({ detail }, 'the sandbox of a command ended unasked');
    }
    return end;
  }

  #createGroup({ cgroups }: CommandOffer, { resources, workload, inputs }: CommandTask): Cgroup | null {
    if (cgroups === null) return null;
    groupCount += 1;
    return cgroups.create(nameGroup(`command-${groupCount}`), {
      memoryBytes: resources.memoryBytes + countBytes(inputs) + COMMAND_OVERHEAD_BYTES,
      tasks: workload.limits.processes + COMMAND_OVERHEAD_TASKS,
      milliCpus: workload.limits.cpus,
    });
  }

  #toResult(task: CommandTask, offer: CommandOffer, end: CommandEnd): ExecutionResult {
    const { usage, wallTimeMs, outcome, outputs } = end;
    return {
      outcome,
      outputs,
      fuel: null,
      steps: 0,
      metricsHash: NO_METRICS,
      instrumentedModuleDigest: null,
      report: this.#describeSandbox(task, offer),
      usage: {
        cpuTimeMs: usage.cpuTimeMs ?? 0,
        wallTimeMs: Math.round(wallTimeMs),
        peakMemoryBytes: usage.peakMemoryBytes ?? 0,
      },
    };
  }

  #describeSandbox({ workload }: CommandTask, { controls, engine }: CommandOffer): SandboxReport {
    const root = workload.root.kind === 'host' ? ['host-root'] : [];
    return { executor: 'command', isolation: 'bubblewrap', controls: [...controls, ...root], engine };
  }

  /** Ends what runs, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SandboxError({ code: 'SANDBOX_CLOSED' }));
    await Promise.allSettled(this.#running);
  }
}

interface RunContext {
  readonly sink: ExecutionSink;
  readonly signal: AbortSignal;
}

interface ViewedRoot extends Disposable {
  readonly view: RootView;
}

/** @throws InternalError for a task of another kind, or with checkpoints: the scheduler lets neither pass */
function requireCommandTask(task: ExecutionTask): CommandTask {
  const { workload, checkpoints, resume } = task;
  if (workload.kind !== 'command' || checkpoints !== null || resume !== null) {
    throw new InternalError('a task for another executor, or one with checkpoints');
  }
  return { ...task, workload };
}

/** Where no group holds it: of each process, since the kernel has no limit for all of them together. */
function rlimitsOf({ resources, workload }: CommandTask): CommandRlimits {
  const cpuSeconds = Math.ceil(((resources.wallTimeMs / 1000) * workload.limits.cpus) / 1000);
  return { addressSpaceBytes: resources.memoryBytes, cpuSeconds: Math.max(1, cpuSeconds) };
}

function countBytes(inputs: readonly InputFile[]): number {
  return inputs.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function ended(outcome: Outcome): CommandEnd {
  return { outcome, outputs: [], usage: NO_USE, wallTimeMs: 0 };
}

function cancelled(): CommandEnd {
  return ended({ kind: 'attempt-failed', code: 'CANCELLED', detail: 'cancelled' });
}
