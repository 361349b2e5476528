import { availableParallelism } from 'node:os';
import { computeDataPaths } from '../config/paths.ts';
import type { NodeConfig } from '../config/schema.ts';
import { type EgressHost, parseEgressPattern } from '../domain/egress.ts';
import type { Clock } from '../lib/clock.ts';
import { CommandExecutor } from '../sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS, type EgressRules } from '../sandbox/executors/command/options.ts';
import { type CommandOffer, type CommandProbe, probeCommand } from '../sandbox/executors/command/probe-command.ts';
import { ContainerExecutor } from '../sandbox/executors/container/container-executor.ts';
import { DEFAULT_CONTAINER_OPTIONS } from '../sandbox/executors/container/options.ts';
import {
  type ContainerOffer,
  type ContainerProbe,
  probeContainer,
} from '../sandbox/executors/container/probe-container.ts';
import { InferenceExecutor } from '../sandbox/executors/inference/inference-executor.ts';
import { DEFAULT_INFERENCE_OPTIONS } from '../sandbox/executors/inference/options.ts';
import {
  type InferenceOffer,
  type InferenceProbe,
  probeInference,
} from '../sandbox/executors/inference/probe-inference.ts';
import { WasmExecutor } from '../sandbox/executors/wasm/wasm-executor.ts';
import { DEFAULT_CACHE_BYTES, InstrumentedCache } from '../sandbox/instrumented-cache/instrumented-cache.ts';
import type { Executor } from '../sandbox/interface.ts';
import { type IsolationOffer, probeIsolation } from '../sandbox/isolation/probe-isolation.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS, type WasmExecutorOptions } from '../sandbox/options.ts';
import { chooseImagesFolder, chooseRootsFolder } from '../sandbox/roots/choose-folder.ts';
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
  /** As of commands. */
  readonly container: ContainerProbe | null;
  /** Null as above. */
  readonly inference: InferenceProbe | null;
}

function wasmOptions({ provide }: NodeConfig): WasmExecutorOptions {
  const { slots, maxMemoryBytes } = provide;
  return { ...DEFAULT_WASM_EXECUTOR_OPTIONS, slots, maxMemoryBytes };
}

function createEgressRules({
  hosts,
  maxBytes,
  privateAddresses,
}: NodeConfig['provide']['command']['network']): EgressRules {
  const patterns = hosts.map((text) => parseEgressPattern(text)).filter((pattern) => pattern !== null);
  const allows = (host: EgressHost): boolean => patterns.some((pattern) => pattern(host));
  return { allows, maxBytes, allowsPrivate: privateAddresses };
}

/** Starts real children and looks at what holds them. */
export async function probeExecutors(config: NodeConfig, { clock, logger }: ExecutorModules): Promise<ProbedExecutors> {
  const { provide } = config;
  if (!provide.enabled) return { wasm: null, command: null, container: null, inference: null };
  const [{ offers, failures }, command, container, inference] = await Promise.all([
    probeIsolation(clock, wasmOptions(config)),
    provide.command.enabled ? probeCommand(clock) : null,
    provide.container.enabled ? probeContainer(clock, provide.container.runtime) : null,
    provide.inference.enabled ? probeInference(clock, provide.inference.runtimeFolder ?? undefined) : null,
  ]);
  for (const { isolation, reason } of failures) logger.warn({ isolation, reason }, 'isolation level is not available');
  if (command?.kind === 'fails') logger.warn({ reason: command.reason }, 'commands are not available');
  if (container?.kind === 'fails') logger.warn({ reason: container.reason }, 'containers are not available');
  if (inference?.kind === 'fails') logger.info({ reason: inference.reason }, 'models are not available');
  return { wasm: offers, command, container, inference };
}

/** In the order in which they are told; the stack ends them. */
export function createExecutors(
  config: NodeConfig,
  modules: ExecutorModules,
  { wasm, command, container, inference }: ProbedExecutors,
): readonly Executor[] {
  if (wasm === null) return [];
  const { home } = config;
  const paths = computeDataPaths(home);
  const instrumented = new InstrumentedCache(modules, { folder: paths.instrumented, maxBytes: DEFAULT_CACHE_BYTES });
  const modulesRunner = new WasmExecutor({ ...modules, instrumented }, { ...wasmOptions(config), offers: wasm });
  return [
    modulesRunner,
    ...(command?.kind === 'works' ? [createCommandExecutor(config, modules, command.offer)] : []),
    ...(container?.kind === 'works' ? [createContainerExecutor(config, modules, container.offer)] : []),
    ...(inference?.kind === 'works' ? [createModelExecutor(config, modules, inference.offer)] : []),
  ];
}

function createCommandExecutor({ home, provide }: NodeConfig, modules: ExecutorModules, offer: CommandOffer): Executor {
  const { hostRoot, maxProcesses, network, rootsBytes, rootsFolder } = provide.command;
  return new CommandExecutor(modules, {
    ...DEFAULT_COMMAND_OPTIONS,
    slots: provide.slots,
    maxMemoryBytes: provide.maxMemoryBytes,
    maxCpus: availableParallelism() * 1000,
    maxProcesses,
    hostRoot,
    egress: createEgressRules(network),
    rootsBytes,
    rootsFolder: rootsFolder ?? chooseRootsFolder(home, computeDataPaths(home).roots),
    offer,
  });
}

function createContainerExecutor(
  { home, provide }: NodeConfig,
  modules: ExecutorModules,
  offer: ContainerOffer,
): Executor {
  const { maxProcesses, imagesBytes, imagesFolder } = provide.container;
  return new ContainerExecutor(modules, {
    ...DEFAULT_CONTAINER_OPTIONS,
    slots: provide.slots,
    maxMemoryBytes: provide.maxMemoryBytes,
    maxCpus: availableParallelism() * 1000,
    maxProcesses,
    imagesBytes,
    imagesFolder: imagesFolder ?? chooseImagesFolder(home, computeDataPaths(home).images),
    offer,
  });
}

function createModelExecutor({ provide }: NodeConfig, modules: ExecutorModules, offer: InferenceOffer): Executor {
  const { cacheBytes, keepWarmMs } = provide.inference;
  return new InferenceExecutor(modules, {
    ...DEFAULT_INFERENCE_OPTIONS,
    slots: provide.slots,
    maxMemoryBytes: provide.maxMemoryBytes,
    maxThreads: availableParallelism(),
    cacheBytes,
    idleExpiryMs: keepWarmMs,
    offer,
  });
}
