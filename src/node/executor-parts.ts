import { availableParallelism } from 'node:os';
import { computeDataPaths } from '../config/paths.ts';
import type { NodeConfig } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { CommandExecutor } from '../sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../sandbox/executors/command/options.ts';
import { type CommandProbe, probeCommand } from '../sandbox/executors/command/probe-command.ts';
import { InferenceExecutor } from '../sandbox/executors/inference/inference-executor.ts';
import { DEFAULT_INFERENCE_OPTIONS } from '../sandbox/executors/inference/options.ts';
import { type InferenceProbe, probeInference } from '../sandbox/executors/inference/probe-inference.ts';
import { WasmExecutor } from '../sandbox/executors/wasm/wasm-executor.ts';
import { DEFAULT_CACHE_BYTES, InstrumentedCache } from '../sandbox/instrumented-cache/instrumented-cache.ts';
import type { Executor } from '../sandbox/interface.ts';
import { type IsolationOffer, probeIsolation } from '../sandbox/isolation/probe-isolation.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS, type WasmExecutorOptions } from '../sandbox/options.ts';
import { chooseRootsFolder } from '../sandbox/roots/choose-folder.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';

export interface ExecutorModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** What was found to work on this host. */
export interface ProbedExecutors {
  /** Null on a node that takes no jobs. */
  readonly wasm: readonly IsolationOffer[] | null;
  /** Null where the operator has switched it off, or takes no jobs. */
  readonly command: CommandProbe | null;
  /** Null as above. */
  readonly inference: InferenceProbe | null;
}

function wasmOptions({ provide }: NodeConfig): WasmExecutorOptions {
  const { slots, maxMemoryBytes } = provide;
  return { ...DEFAULT_WASM_EXECUTOR_OPTIONS, slots, maxMemoryBytes };
}

/** Starts real children and looks at what holds them. */
export async function probeExecutors(config: NodeConfig, { clock, logger }: ExecutorModules): Promise<ProbedExecutors> {
  const { provide } = config;
  if (!provide.enabled) return { wasm: null, command: null, inference: null };
  const { enabled, runtimeFolder } = provide.inference;
  const [{ offers, failures }, command, inference] = await Promise.all([
    probeIsolation(clock, wasmOptions(config)),
    provide.command.enabled ? probeCommand(clock) : null,
    enabled ? probeInference(clock, runtimeFolder ?? undefined) : null,
  ]);
  for (const { isolation, reason } of failures) logger.warn({ isolation, reason }, 'isolation level is not available');
  if (command?.kind === 'fails') logger.warn({ reason: command.reason }, 'commands are not available');
  if (inference?.kind === 'fails') logger.info({ reason: inference.reason }, 'models are not available');
  return { wasm: offers, command, inference };
}

/** In the order in which they are told; the stack ends them. */
export function createExecutors(
  config: NodeConfig,
  modules: ExecutorModules,
  probed: ProbedExecutors,
): readonly Executor[] {
  const { wasm } = probed;
  if (wasm === null) return [];
  const { instrumented: folder } = computeDataPaths(config.home);
  const instrumented = new InstrumentedCache(modules, { folder, maxBytes: DEFAULT_CACHE_BYTES });
  const modulesRunner = new WasmExecutor({ ...modules, instrumented }, { ...wasmOptions(config), offers: wasm });
  return [modulesRunner, ...createCommands(config, modules, probed), ...createModels(config, modules, probed)];
}

function createCommands(
  { home, provide }: NodeConfig,
  modules: ExecutorModules,
  { command }: ProbedExecutors,
): readonly Executor[] {
  if (command?.kind !== 'works') return [];
  const { hostRoot, maxProcesses, rootsBytes, rootsFolder } = provide.command;
  const runner = new CommandExecutor(modules, {
    ...DEFAULT_COMMAND_OPTIONS,
    slots: provide.slots,
    maxMemoryBytes: provide.maxMemoryBytes,
    maxCpus: availableParallelism() * 1000,
    maxProcesses,
    hostRoot,
    rootsBytes,
    rootsFolder: rootsFolder ?? chooseRootsFolder(home, computeDataPaths(home).roots),
    offer: command.offer,
  });
  return [runner];
}

function createModels(
  { provide }: NodeConfig,
  modules: ExecutorModules,
  { inference }: ProbedExecutors,
): readonly Executor[] {
  if (inference?.kind !== 'works') return [];
  const { cacheBytes, keepWarmMs } = provide.inference;
  const runner = new InferenceExecutor(modules, {
    ...DEFAULT_INFERENCE_OPTIONS,
    slots: provide.slots,
    maxMemoryBytes: provide.maxMemoryBytes,
    maxThreads: availableParallelism(),
    cacheBytes,
    idleExpiryMs: keepWarmMs,
    offer: inference.offer,
  });
  return [runner];
}
