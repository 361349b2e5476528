import { createHash } from 'node:crypto';
import type { IsolationLevel } from '../../src/domain/capability.ts';
import type { PeerKey } from '../../src/domain/ids.ts';
import type { Resources, WasmWorkload } from '../../src/domain/job.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import type { ChildTask } from '../../src/sandbox/executors/wasm/sandbox-child.ts';
import { createWasmExecutor, type WasmExecutor } from '../../src/sandbox/executors/wasm/wasm-executor.ts';
import type {
  CheckpointOrder,
  ExecutionResult,
  ExecutionSink,
  ExecutionTask,
  Executor,
  InputFile,
  StateCheckpoint,
} from '../../src/sandbox/interface.ts';
import type { ChildProgram } from '../../src/sandbox/isolation/child-program.ts';
import { createBubblewrapPlan, createProcessPlan, type LaunchPlan } from '../../src/sandbox/isolation/launch-plan.ts';
import { findHostTools, type IsolationOffer, probeIsolation } from '../../src/sandbox/isolation/probe-isolation.ts';
import { createChildFilter } from '../../src/sandbox/isolation/seccomp/allow-list.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS, type WasmExecutorOptions } from '../../src/sandbox/options.ts';
import type { MetricsRegistry } from '../../src/telemetry/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { findChildProgram } from './child-program.ts';
import type { Need } from './needs.ts';

const CHILD_PROGRAM = findChildProgram();

// Tests do not read them; the executor only compares them.
export const ALICE = '12D3KooWAlice' as PeerKey;
export const BOB = '12D3KooWBob' as PeerKey;

export async function createTestExecutor(
  options: Partial<WasmExecutorOptions> = {},
  metrics: MetricsRegistry = new NoopMetricsRegistry(),
): Promise<WasmExecutor> {
  const modules = { clock: new SystemClock(), logger: new NoopLogger(), metrics };
  return await createWasmExecutor(modules, options, CHILD_PROGRAM);
}

/** What this host can isolate, found once for a file of tests. */
export async function findOffers(): Promise<ReadonlyMap<IsolationLevel, IsolationOffer>> {
  const { offers } = await probeIsolation(new SystemClock(), DEFAULT_WASM_EXECUTOR_OPTIONS, CHILD_PROGRAM);
  return new Map(offers.map((offer) => [offer.isolation, offer]));
}

export function needLevel(isMet: boolean, isolation: IsolationLevel): Need {
  return { isMet, kind: 'host', reason: `isolation level ${isolation}; see fogproof doctor` };
}

export interface TaskParts {
  readonly requester?: PeerKey;
  readonly isolation: IsolationLevel;
  readonly module: Uint8Array;
  readonly inputs?: readonly InputFile[];
  readonly workload?: Partial<WasmWorkload>;
  readonly resources?: Partial<Resources>;
  readonly checkpoints?: ExecutionTask['checkpoints'];
  readonly resume?: ExecutionTask['resume'];
  readonly isConfidential?: boolean;
}

export function createTask(parts: TaskParts): ExecutionTask {
  const workload: WasmWorkload = {
    kind: 'wasm',
    // The executor reads the module's bytes, not its id.
    module: 'bafkreitest' as WasmWorkload['module'],
    moduleSizeBytes: parts.module.length,
    abi: 'fogproof',
    arguments: [],
    environment: {},
    seed: new Uint8Array(32),
    ...parts.workload,
  };
  const resources: Resources = {
    memoryBytes: 16 * 65_536,
    fuel: 1_000_000_000,
    wallTimeMs: 30_000,
    outputBytes: 16 * 1024 * 1024,
    logBytes: 100_000,
    ...parts.resources,
  };
  const { requester = ALICE, isolation, module, inputs = [], checkpoints = null, resume = null } = parts;
  const { isConfidential = false } = parts;
  return { requester, isolation, workload, module, inputs, resources, checkpoints, resume, isConfidential };
}

/** Wants nothing of a checkpoint. */
export const GO_ON: CheckpointOrder = {
  wanted: [],
  receive: () => Promise.resolve(),
  complete: () => Promise.resolve(),
  then: 'continue',
};

export class RecordingSink implements ExecutionSink {
  readonly events: string[] = [];
  readonly ordinals: number[] = [];
  readonly progressAtMs: number[] = [];
  readonly checkpoints: StateCheckpoint[] = [];
  cpuTimeMs = 0;
  /** Called on each progress. */
  onProgress: () => void = () => {};

  log(stream: string, text: string, ordinal: number): void {
    this.ordinals.push(ordinal);
    this.events.push(`${stream}: ${text}`);
  }

  metric(name: string, value: string, step: number, ordinal: number): void {
    this.ordinals.push(ordinal);
    this.events.push(`${step} ${name}=${value}`);
  }

  progress(progress: { readonly cpuTimeMs: number }): void {
    this.progressAtMs.push(performance.now());
    this.cpuTimeMs = progress.cpuTimeMs;
    this.onProgress();
  }

  checkpoint(checkpoint: StateCheckpoint): Promise<CheckpointOrder> {
    this.checkpoints.push(checkpoint);
    return Promise.resolve(GO_ON);
  }
}

export async function run(executor: Executor, parts: TaskParts): Promise<ExecutionResult> {
  return await executor.execute(createTask(parts), new RecordingSink(), {});
}

/** A task as a child takes it, without an executor. */
export function createChildTask(
  module: Uint8Array,
  limits: Partial<Pick<ChildTask['request'], 'fuel' | 'outputBytes' | 'logBytes' | 'maxPages' | 'checkpoints'>>,
): ChildTask {
  const digest = createHash('sha256').update(module).digest();
  const request = {
    digest,
    abi: 'fogproof' as const,
    maxPages: 16,
    fuel: 1_000_000,
    outputBytes: 1000,
    logBytes: 1000,
    seed: new Uint8Array(32),
    arguments: [],
    environment: [],
    inputs: [],
    checkpoints: null,
    resume: null,
    ...limits,
  };
  return { request, module, moduleKey: digest.toString('hex'), inputs: [], pieces: null, wallTimeMs: 60_000 };
}

/** The launch of a level with another program in place of ours. */
export function planFor(
  offer: IsolationOffer,
  program: ChildProgram,
  extraArguments: readonly string[] = [],
): LaunchPlan {
  const found = findHostTools();
  if (found === null) throw new TypeError('there is no offer without tools');
  const setpriv = offer.controls.includes('no-new-privileges') ? found.setpriv : null;
  const options = { tools: { ...found, setpriv }, program, maxMemoryBytes: 2 ** 30, engineFlags: [] };
  const plan =
    offer.isolation === 'process'
      ? createProcessPlan(options, offer.controls.includes('network-namespace') ? 'none' : 'host')
      : createBubblewrapPlan(options, found.bubblewrap ?? '', createChildFilter(process.arch) ?? new Uint8Array(0));
  return { ...plan, createArguments: (files) => [...plan.createArguments(files), ...extraArguments] };
}
