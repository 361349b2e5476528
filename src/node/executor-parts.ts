import { availableParallelism } from 'node:os';
import { computeDataPaths } from '../config/paths.ts';
import type { NodeConfig } from '../config/schema.ts';
import { type EgressHost, parseEgressPattern } from '../domain/egress.ts';
import type { Clock } from '../lib/clock.ts';
import { CommandExecutor } from '../sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS, type EgressRules } from '../sandbox/executors/command/options.ts';
import { type CommandProbe, probeCommand } from '../sandbox/executors/command/probe-command.ts';
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
  if (!provide.enabled) return { wasm: null, command: null };
  const [{ offers, failures }, command] = await Promise.all([
    probeIsolation(clock, wasmOptions(config)),
    provide.command.enabled ? probeCommand(clock) : null,
  ]);
  for (const { isolation, reason } of failures) logger.warn({ isolation, reason }, 'isolation level is not available');
  if (command?.kind === 'fails') logger.warn({ reason: command.reason }, 'commands are not available');
  return { wasm: offers, command };
}

/** In the order in which they are told; the stack ends them. */
export function createExecutors(
  config: NodeConfig,
  modules: ExecutorModules,
  { wasm, command }: ProbedExecutors,
): readonly Executor[] {
  if (wasm === null) return [];
  const { home, provide } = config;
  const paths = computeDataPaths(home);
  const instrumented = new InstrumentedCache(modules, { folder: paths.instrumented, maxBytes: DEFAULT_CACHE_BYTES });
  const modulesRunner = new WasmExecutor({ ...modules, instrumented }, { ...wasmOptions(config), offers: wasm });
  if (command?.kind !== 'works') return [modulesRunner];
  const { hostRoot, maxProcesses, network, rootsBytes, rootsFolder } = provide.command;
  const commandRunner = new CommandExecutor(modules, {
    ...DEFAULT_COMMAND_OPTIONS,
    slots: provide.slots,
    maxMemoryBytes: provide.maxMemoryBytes,
    maxCpus: availableParallelism() * 1000,
    maxProcesses,
    hostRoot,
    egress: createEgressRules(network),
    rootsBytes,
    rootsFolder: rootsFolder ?? chooseRootsFolder(home, paths.roots),
    offer: command.offer,
  });
  return [modulesRunner, commandRunner];
}
