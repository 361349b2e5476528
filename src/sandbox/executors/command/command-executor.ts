import { hash } from 'node:crypto';
import { posix } from 'node:path';
import type { IsolationLevel } from '../../../domain/capability.ts';
import { parseEgressHost } from '../../../domain/egress.ts';
import type { CheckpointSchedule, CommandWorkload, Resources } from '../../../domain/job.ts';
import { findNeeds, type ProgramNeeds } from '../../../domain/program-needs.ts';
import type { Outcome, SandboxReport } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, InternalError } from '../../../lib/errors.ts';
import type { Logger, MetricsRegistry } from '../../../telemetry/interface.ts';
import { COMMAND_OUTPUT_SLACK_BYTES, COMMAND_OVERHEAD_BYTES, COMMAND_OVERHEAD_TASKS } from '../../constants.ts';
import { EgressProxy } from '../../egress/egress-proxy.ts';
import { SandboxError } from '../../errors.ts';
import { GPU_FOLDER } from '../../gpu/driver-libraries.ts';
import type {
  ExecutionOptions,
  ExecutionResult,
  ExecutionSink,
  ExecutionTask,
  Executor,
  InputFile,
} from '../../interface.ts';
import { createGpuCommandFilter } from '../../isolation/seccomp/command-filter.ts';
import { type Cgroup, nameGroup } from '../../limits/cgroup.ts';
import { createSandboxMetrics, type SandboxMetrics } from '../../metrics.ts';
import { type HeldRoot, RootCache, type Unpack } from '../../roots/root-cache.ts';
import { unpackArchive } from '../../roots/unpack-archive.ts';
import { listControlFiles } from '../../rounds/control-files.ts';
import { restoreFiles } from '../../rounds/restore-files.ts';
import { computeCheckpointLimit, computeControlBytes, createRoundEnvironment } from '../../rounds/round-folders.ts';
import { Slots } from '../slots.ts';
import { type CommandRlimits, type CommandRounds, isCheckpointFile, ROUND_FOLDER_NAMES } from './command-plan.ts';
import { type CommandEnd, runCommand } from './command-run.ts';
import { hideGpus, viewGpus } from './gpu-view.ts';
import type { CommandExecutorOptions } from './options.ts';
import type { CommandOffer } from './probe-command.ts';
import { type RootView, viewArchive, viewHost } from './root-view.ts';

export interface CommandExecutorModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

const GPU_TOP = GPU_FOLDER.slice(1);

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
  readonly lendsGpus = true;
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

  async execute(task: ExecutionTask, sink: ExecutionSink, options: ExecutionOptions): Promise<ExecutionResult> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    const offer = this.#requireOffer();
    const command = requireCommandTask(task);
    this.#assertLimits(command);
    const startedAtMs = this.#clock.monotonicMs();
    const signals = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const { pausing = null } = options;
    const running = this.#runInSlot(command, offer, { sink, signal: AbortSignal.any(signals), pausing });
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

  #assertLimits({ resources, inputs, workload, gpus }: CommandTask): void {
    const refuse = (what: string, asked: number, limit: number): void => {
      if (asked > limit) throw new SandboxError({ code: 'SANDBOX_LIMIT_UNAVAILABLE', what, asked, limit });
    };
    const { maxMemoryBytes, maxOutputBytes, maxInputBytes } = this.#options;
    refuse('bytes of memory', resources.memoryBytes, maxMemoryBytes);
    refuse('bytes of output', resources.outputBytes, maxOutputBytes);
    refuse('bytes of input', countBytes(inputs), maxInputBytes);
    const needs = findNeeds(workload);
    const unmet = needs === null ? null : this.findUnmetNeed(needs);
    if (unmet !== null) throw unmet;
    if (gpus !== undefined && this.#offer?.cgroups === null) {
      const reason = 'no control group may be made here, and a limit of addresses keeps CUDA from starting';
      throw new SandboxError({ code: 'SANDBOX_GPU_UNAVAILABLE', reason });
    }
  }

  findUnmetNeed({ cpus, processes, hostRoot, hosts = [] }: ProgramNeeds): SandboxError | null {
    const { maxCpus, maxProcesses, egress } = this.#options;
    const refuse = (what: string, asked: number, limit: number): SandboxError =>
      new SandboxError({ code: 'SANDBOX_LIMIT_UNAVAILABLE', what, asked, limit });
    if (cpus > maxCpus) return refuse('thousandths of a processor', cpus, maxCpus);
    if (processes > maxProcesses) return refuse('processes', processes, maxProcesses);
    if (hostRoot === true && !this.#options.hostRoot) return new SandboxError({ code: 'SANDBOX_HOST_ROOT_OFF' });
    const refused = hosts.find((text) => {
      const host = parseEgressHost(text);
      return host === undefined || !egress.allows(host);
    });
    if (refused !== undefined) return new SandboxError({ code: 'SANDBOX_EGRESS_REFUSED', host: refused });
    return null;
  }

  async #runInSlot(task: CommandTask, offer: CommandOffer, run: RunContext): Promise<CommandEnd> {
    try {
      await this.#slots.take(run.signal);
    } catch {
      return cancelled();
    }
    try {
      using root = await this.#holdRoot(task, run.signal);
      const laidOut = await layOutRounds(task, run.signal);
      return await this.#runIn(root.view, laidOut, { ...run, offer });
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
  async #holdRoot({ workload, module, checkpoints }: CommandTask, signal: AbortSignal): Promise<ViewedRoot> {
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
    const hidden = checkpoints === null ? [] : ROUND_FOLDER_NAMES;
    return { view: viewArchive(held.folder, { hidden }), [Symbol.dispose]: () => held[Symbol.dispose]() };
  }

  async #runIn(
    view: RootView,
    task: CommandTask,
    run: RunContext & { readonly offer: CommandOffer },
  ): Promise<CommandEnd> {
    const { workload, resources, checkpoints } = task;
    const inputs = task.inputs.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const misplaced = findMisplaced(view, inputs, task.gpus !== undefined);
    if (misplaced !== undefined) return ended({ kind: 'program-failed', code: 'PROGRAM_REFUSED', detail: misplaced });
    const { offer, sink, signal, pausing } = run;
    const round = task.resume?.step ?? 0;
    const cgroup = this.#createGroup(offer, task);
    const end = await runCommand(
      {
        clock: this.#clock,
        tools: offer.tools,
        filter: chooseFilter(offer, task),
        egress: this.#createEgress(workload),
        start: {
          root: view,
          workload,
          outputBytes: resources.outputBytes,
          inputPaths: inputs.map(({ path }) => path),
          rlimits: cgroup === null ? rlimitsOf(task) : null,
          rounds: checkpoints === null ? null : planRounds(resources, checkpoints, round),
          gpus: task.gpus === undefined ? hideGpus() : viewGpus(task.gpus, view),
        },
        inputs,
        cgroup,
        limits: resources,
        rounds: checkpoints === null ? null : { schedule: checkpoints, round, pausing },
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

  #createEgress({ network }: CommandWorkload): EgressProxy | null {
    if (network === undefined) return null;
    const { maxBytes, allowsPrivate } = this.#options.egress;
    const hosts = network.hosts.flatMap((text) => parseEgressHost(text) ?? []);
    const onRefused = (wanted: string, reason: string): void =>
      this.#logger.info({ wanted, reason }, 'a program was not connected');
    return new EgressProxy({ hosts, maxBytes, allowsPrivate, onRefused });
  }

  #createGroup({ cgroups }: CommandOffer, { resources, workload, inputs, resume, gpus }: CommandTask): Cgroup | null {
    if (cgroups === null) return null;
    groupCount += 1;
    return cgroups.create(nameGroup(`command-${groupCount}`), {
      memoryBytes:
        resources.memoryBytes +
        countBytes(resume === null ? inputs : inputs.filter(({ path }) => !isCheckpointFile(path))) +
        COMMAND_OVERHEAD_BYTES,
      tasks: workload.limits.processes + COMMAND_OVERHEAD_TASKS,
      milliCpus: workload.limits.cpus,
      ...(gpus === undefined ? {} : { devices: gpus.nodes }),
    });
  }

  #toResult(task: CommandTask, offer: CommandOffer, end: CommandEnd): ExecutionResult {
    const { usage, wallTimeMs, outcome, outputs, rounds } = end;
    return {
      outcome,
      outputs,
      fuel: null,
      steps: rounds?.last ?? 0,
      metricsHash: rounds?.metricsHash ?? NO_METRICS,
      instrumentedModuleDigest: null,
      report: this.#describeSandbox(task, offer),
      usage: {
        cpuTimeMs: usage.cpuTimeMs ?? 0,
        wallTimeMs: Math.round(wallTimeMs),
        peakMemoryBytes: usage.peakMemoryBytes ?? 0,
      },
    };
  }

  #describeSandbox({ workload, gpus }: CommandTask, { controls, engine, cgroups }: CommandOffer): SandboxReport {
    const root = workload.root.kind === 'host' ? ['host-root'] : [];
    const network = workload.network === undefined ? [] : ['listed-hosts'];
    const devices = gpus !== undefined && cgroups?.limitsDevices === true ? ['cgroup-v1-devices'] : [];
    return {
      executor: 'command',
      isolation: 'bubblewrap',
      controls: [...controls, ...root, ...network, ...devices],
      engine,
      ...(gpus === undefined ? {} : { gpus: [...gpus.grants] }),
    };
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
  readonly pausing: AbortSignal | null;
}

interface ViewedRoot extends Disposable {
  readonly view: RootView;
}

/** @throws InternalError for a task of another kind, or with steps: the scheduler lets neither pass */
function requireCommandTask(task: ExecutionTask): CommandTask {
  const { workload, checkpoints, resume } = task;
  const hasRounds = checkpoints?.kind === 'rounds';
  if (workload.kind !== 'command' || (checkpoints !== null && !hasRounds) || (resume !== null && !hasRounds)) {
    throw new InternalError('a task for another executor, or one with steps');
  }
  return { ...task, workload };
}

/** Of a job with rounds: checkpoint files stand in place of what the inputs have there. @throws SandboxError SANDBOX_RESUME_STATE */
async function layOutRounds(task: CommandTask, signal: AbortSignal): Promise<CommandTask> {
  const { checkpoints, resume, inputs, resources } = task;
  if (checkpoints === null) return task;
  const control = listControlFiles(resume?.step ?? 0);
  if (resume === null) return { ...task, inputs: [...inputs, ...control] };
  const files = await restoreFiles(resume, resources, signal);
  return { ...task, inputs: [...inputs.filter(({ path }) => !isCheckpointFile(path)), ...files, ...control] };
}

function planRounds(resources: Resources, { every }: CheckpointSchedule, round: number): CommandRounds {
  return {
    checkpointBytes: computeCheckpointLimit(resources) + COMMAND_OUTPUT_SLACK_BYTES,
    controlBytes: computeControlBytes(resources),
    environment: createRoundEnvironment(round, every),
  };
}

/** @throws SandboxError on an architecture without a table of calls, where no command runs at all */
function chooseFilter(offer: CommandOffer, { workload, gpus }: CommandTask): Uint8Array {
  const hasNetwork = workload.network !== undefined;
  if (gpus === undefined) return hasNetwork ? offer.networkFilter : offer.filter;
  const filter = createGpuCommandFilter(process.arch, { hasNetwork });
  if (filter === null) throw new SandboxError({ code: 'SANDBOX_ISOLATION_UNAVAILABLE', isolation: 'bubblewrap' });
  return filter;
}

/** Where no group holds it: of each process, since the kernel has no limit for all of them together. */
function rlimitsOf({ resources, workload }: CommandTask): CommandRlimits {
  const cpuSeconds = Math.ceil(((resources.wallTimeMs / 1000) * workload.limits.cpus) / 1000);
  return { addressSpaceBytes: resources.memoryBytes, cpuSeconds: Math.max(1, cpuSeconds) };
}

/** What lies where the sandbox has something else; undefined if nothing does. */
function findMisplaced(view: RootView, inputs: readonly InputFile[], hasGpus: boolean): string | undefined {
  const topOf = (path: string): string => path.split('/')[1] ?? '';
  if (hasGpus && view.folders.has(GPU_TOP)) return `its root has ${GPU_FOLDER}, where the driver of the GPUs is`;
  const taken = inputs.find(({ path }) => view.folders.has(topOf(path)) || (hasGpus && topOf(path) === GPU_TOP));
  if (taken === undefined) return undefined;
  return `an input lies in ${posix.join('/', topOf(taken.path)).slice(0, 100)}, which the root has as well`;
}

function countBytes(inputs: readonly InputFile[]): number {
  return inputs.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function ended(outcome: Outcome): CommandEnd {
  return { outcome, outputs: [], usage: NO_USE, wallTimeMs: 0, rounds: null };
}

function cancelled(): CommandEnd {
  return ended({ kind: 'attempt-failed', code: 'CANCELLED', detail: 'cancelled' });
}
