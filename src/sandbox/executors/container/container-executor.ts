import { hash } from 'node:crypto';
import { posix } from 'node:path';
import type { IsolationLevel } from '../../../domain/capability.ts';
import type { ContainerImage, ContainerWorkload } from '../../../domain/job.ts';
import type { ImageConfig } from '../../../domain/oci-image.ts';
import type { Outcome, SandboxReport } from '../../../domain/receipt.ts';
import type { AbortOptions } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, InternalError } from '../../../lib/errors.ts';
import type { Logger, MetricsRegistry } from '../../../telemetry/interface.ts';
import { SandboxError } from '../../errors.ts';
import { type ImageProcess, resolveProcess } from '../../images/image-process.ts';
import { readImageConfig, unpackImage } from '../../images/unpack-image.ts';
import type {
  ExecutionResult,
  ExecutionSink,
  ExecutionTask,
  Executor,
  ImageSource,
  InputFile,
} from '../../interface.ts';
import { type Cgroup, nameGroup } from '../../limits/cgroup.ts';
import { createSandboxMetrics, type SandboxMetrics } from '../../metrics.ts';
import { type HeldRoot, RootCache, type Unpack } from '../../roots/root-cache.ts';
import type { CommandRlimits } from '../command/command-plan.ts';
import { type CommandEnd, runCommand } from '../command/command-run.ts';
import { type RootView, viewArchive } from '../command/root-view.ts';
import { Slots } from '../slots.ts';
import { type ContainerStart, countOverhead, createContainerStart } from './container-plan.ts';
import type { ContainerExecutorOptions } from './options.ts';
import type { ContainerOffer } from './probe-container.ts';
import { RUNTIME_TRAITS } from './runtime.ts';

export interface ContainerExecutorModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** SHA-256 of no bytes: the hash of no metrics. */
const NO_METRICS = new Uint8Array(hash('sha256', '', 'buffer'));
const NO_USE = { cpuTimeMs: null, peakMemoryBytes: null, memoryKills: 0, refusedTasks: 0 };

interface ContainerTask extends ExecutionTask {
  readonly workload: ContainerWorkload;
  readonly image: ImageSource;
}

interface RunContext {
  readonly sink: ExecutionSink;
  readonly signal: AbortSignal;
}

interface OpenedImage extends Disposable {
  readonly view: RootView;
  readonly process: ImageProcess;
}

let groupCount = 0;

/** Runs `container` workloads, each in a sandbox of its own that ends with it. */
export class ContainerExecutor implements Executor {
  readonly kind = 'container';
  /** What programs see besides their image: another version, or another processor, may give other results. */
  readonly instrumenter = `container/1 linux-${process.arch}`;
  readonly isolation: readonly IsolationLevel[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: SandboxMetrics;
  readonly #options: ContainerExecutorOptions;
  readonly #offer: ContainerOffer | null;
  readonly #images: RootCache;
  readonly #slots: Slots;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  /** `offer` is what `probeContainer` found; null where nothing works, and the executor is off. */
  constructor(
    modules: ContainerExecutorModules,
    { offer, ...options }: ContainerExecutorOptions & { readonly offer: ContainerOffer | null },
  ) {
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#metrics = createSandboxMetrics(modules.metrics);
    this.#options = options;
    this.#offer = offer;
    this.isolation = offer === null ? [] : ['bubblewrap'];
    this.#images = new RootCache(modules, { folder: options.imagesFolder, maxBytes: options.imagesBytes });
    this.#slots = new Slots(options.slots);
  }

  /** Every container has a sandbox of its own: there is nothing to keep warm. */
  async warm(): Promise<void> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    this.#requireOffer();
  }

  async execute(task: ExecutionTask, sink: ExecutionSink, options: AbortOptions): Promise<ExecutionResult> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    const offer = this.#requireOffer();
    const container = requireContainerTask(task);
    this.#assertLimits(container);
    const startedAtMs = this.#clock.monotonicMs();
    const signals = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const running = this.#runInSlot(container, offer, { sink, signal: AbortSignal.any(signals) });
    this.#running.add(running);
    try {
      const end = await running;
      const { outcome } = end;
      this.#metrics.tasks.increment({ outcome: outcome.kind === 'completed' ? 'completed' : outcome.code });
      this.#metrics.taskSeconds.observe((this.#clock.monotonicMs() - startedAtMs) / 1000, { isolation: 'bubblewrap' });
      return toResult(end, describeSandbox(container, offer));
    } finally {
      this.#running.delete(running);
    }
  }

  #requireOffer(): ContainerOffer {
    if (this.#offer !== null) return this.#offer;
    throw new SandboxError({ code: 'SANDBOX_ISOLATION_UNAVAILABLE', isolation: 'bubblewrap' });
  }

  #assertLimits({ resources, inputs, workload }: ContainerTask): void {
    const refuse = (what: string, asked: number, limit: number): void => {
      if (asked > limit) throw new SandboxError({ code: 'SANDBOX_LIMIT_UNAVAILABLE', what, asked, limit });
    };
    const { maxMemoryBytes, maxOutputBytes, maxInputBytes, maxCpus, maxProcesses } = this.#options;
    refuse('bytes of memory', resources.memoryBytes, maxMemoryBytes);
    refuse('bytes of output', resources.outputBytes, maxOutputBytes);
    refuse('bytes of input', countBytes(inputs), maxInputBytes);
    refuse('thousandths of a processor', workload.limits.cpus, maxCpus);
    refuse('processes', workload.limits.processes, maxProcesses);
  }

  async #runInSlot(task: ContainerTask, offer: ContainerOffer, run: RunContext): Promise<CommandEnd> {
    try {
      await this.#slots.take(run.signal);
    } catch {
      return cancelled();
    }
    try {
      using image = await this.#openImage(task, offer, run.signal);
      return await this.#runIn(image, task, { ...run, offer });
    } catch (error) {
      if (run.signal.aborted) return cancelled();
      if (error instanceof SandboxError && error.code === 'SANDBOX_ROOT_REFUSED') return refused(error.message);
      throw error;
    } finally {
      this.#slots.give();
    }
  }

  /** @throws SandboxError */
  async #openImage(
    { workload, image: source }: ContainerTask,
    offer: ContainerOffer,
    signal: AbortSignal,
  ): Promise<OpenedImage> {
    const config = await readImageConfig(workload.image, source);
    const held = await this.#holdImage({ image: workload.image, config, source }, signal);
    try {
      const resolved = await resolveProcess(workload, config, held.folder);
      const { name } = offer.runtime;
      const { uid, gid } = resolved;
      if ((uid !== 0 || gid !== 0) && !RUNTIME_TRAITS[name].anyUser) {
        throw new SandboxError({ code: 'SANDBOX_RUNTIME_USER', runtime: name, user: `${uid}:${gid}` });
      }
      const view = viewArchive(held.folder, { at: '/rootfs' });
      return { view, process: resolved, [Symbol.dispose]: () => held[Symbol.dispose]() };
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  async #holdImage(
    parts: { readonly image: ContainerImage; readonly config: ImageConfig; readonly source: ImageSource },
    signal: AbortSignal,
  ): Promise<HeldRoot> {
    const unpack: Unpack = (folder, limits) => unpackImage(parts, folder, limits);
    try {
      return await this.#images.hold(computeKey(parts.image), unpack, signal);
    } catch (error) {
      if (error instanceof SandboxError || signal.aborted) throw error;
      throw new SandboxError({ code: 'SANDBOX_ROOT_UNAVAILABLE', reason: describeError(error) }, { cause: error });
    }
  }

  async #runIn(
    image: OpenedImage,
    task: ContainerTask,
    run: RunContext & { readonly offer: ContainerOffer },
  ): Promise<CommandEnd> {
    const inputs = task.inputs.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const misplaced = inputs.find(({ path }) => image.view.folders.has(path.split('/')[1] ?? ''));
    if (misplaced !== undefined) {
      const folder = posix.join('/', misplaced.path.split('/')[1] ?? '').slice(0, 100);
      return refused(`an input lies in ${folder}, which the image has as well`);
    }
    const { offer, sink, signal } = run;
    const { workload, resources } = task;
    const container = createContainerStart({
      runtime: offer.runtime,
      seccomp: offer.seccomp,
      process: image.process,
      root: image.view,
      limits: workload.limits,
      outputBytes: resources.outputBytes,
      inputs,
      rlimits: offer.cgroups === null ? rlimitsOf(task) : null,
    });
    const end = await this.#run(container, task, { offer, sink, signal });
    if (end.outcome.kind === 'attempt-failed' && end.outcome.code === 'EXECUTOR_CRASHED') {
      this.#metrics.childCrashes.increment({ isolation: 'bubblewrap' });
      const detail = task.isConfidential === true ? 'its task was confidential' : end.outcome.detail;
      this.#logger.warn({ detail }, 'the sandbox of a container ended unasked');
    }
    return end;
  }

  async #run(
    { start, files, voice }: ContainerStart,
    task: ContainerTask,
    { offer, sink, signal }: RunContext & { readonly offer: ContainerOffer },
  ): Promise<CommandEnd> {
    const { tools, filter } = offer;
    const cgroup = this.#createGroup(task, offer, countBytes(files));
    const parts = { clock: this.#clock, tools, filter, start, inputs: files, cgroup, limits: task.resources };
    return await runCommand({ ...parts, runtime: voice, egress: null, rounds: null }, sink, signal);
  }

  #createGroup(
    { resources, workload }: ContainerTask,
    { cgroups, runtime }: ContainerOffer,
    fileBytes: number,
  ): Cgroup | null {
    if (cgroups === null) return null;
    const overhead = countOverhead(runtime);
    groupCount += 1;
    return cgroups.create(nameGroup(`container-${groupCount}`), {
      memoryBytes: resources.memoryBytes + fileBytes + overhead.memoryBytes,
      tasks: workload.limits.processes + overhead.tasks,
      milliCpus: workload.limits.cpus,
    });
  }

  /** Ends what runs, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SandboxError({ code: 'SANDBOX_CLOSED' }));
    await Promise.allSettled(this.#running);
  }
}

/**
 * By all that a job names of it, not by its digest alone: what somebody has unpacked here is for those who have each of its
 * layers, since that is what a node was shown before it runs a job.
 */
function computeKey({ digest, config, layers }: ContainerImage): string {
  const named = [
    digest,
    config.digest,
    ...layers.flatMap((layer) => [layer.digest, layer.blob, String(layer.sizeBytes)]),
  ];
  return hash('sha256', named.join('\n'), 'hex');
}

function describeSandbox({ workload }: ContainerTask, { controls, engine }: ContainerOffer): SandboxReport {
  return {
    executor: 'container',
    isolation: 'bubblewrap',
    controls: [...controls],
    engine,
    image: workload.image.digest,
  };
}

function toResult({ usage, wallTimeMs, outcome, outputs }: CommandEnd, report: SandboxReport): ExecutionResult {
  return {
    outcome,
    outputs,
    fuel: null,
    steps: 0,
    metricsHash: NO_METRICS,
    instrumentedModuleDigest: null,
    report,
    usage: {
      cpuTimeMs: usage.cpuTimeMs ?? 0,
      wallTimeMs: Math.round(wallTimeMs),
      peakMemoryBytes: usage.peakMemoryBytes ?? 0,
    },
  };
}

/** @throws InternalError for a task of another kind, or with checkpoints: the scheduler lets neither pass */
function requireContainerTask(task: ExecutionTask): ContainerTask {
  const { workload, checkpoints, resume, image } = task;
  if (workload.kind !== 'container' || checkpoints !== null || resume !== null || image === undefined) {
    throw new InternalError('a task for another executor, without its image, or one with checkpoints');
  }
  return { ...task, workload, image };
}

/** Where no group holds it: of each process, since the kernel has no limit for all of them together. */
function rlimitsOf({ resources, workload }: ContainerTask): CommandRlimits {
  const cpuSeconds = Math.ceil(((resources.wallTimeMs / 1000) * workload.limits.cpus) / 1000);
  return { addressSpaceBytes: resources.memoryBytes, cpuSeconds: Math.max(1, cpuSeconds) };
}

function countBytes(inputs: readonly InputFile[]): number {
  return inputs.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function ended(outcome: Outcome): CommandEnd {
  return { outcome, outputs: [], usage: NO_USE, wallTimeMs: 0, rounds: null };
}

function refused(detail: string): CommandEnd {
  return ended({ kind: 'program-failed', code: 'PROGRAM_REFUSED', detail: detail.slice(0, 300) });
}

function cancelled(): CommandEnd {
  return ended({ kind: 'attempt-failed', code: 'CANCELLED', detail: 'cancelled' });
}
