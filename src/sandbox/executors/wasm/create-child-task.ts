import type { Resources, WasmWorkload } from '../../../domain/job.ts';
import { InternalError } from '../../../lib/errors.ts';
import { MAX_PAGES, PAGE_BYTES } from '../../../wasm/constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionTask } from '../../interface.ts';
import type { ResumeRequest, RunRequest } from '../../protocol/requests.ts';
import type { ChildTask } from './sandbox-child.ts';
import { findStateFault, readHost, type StateLimits, sizePieces } from './state-check.ts';

/** A task of a WebAssembly module. */
export type WasmTask = ExecutionTask & {
  readonly workload: WasmWorkload;
  readonly module: Uint8Array;
  readonly resources: Resources & { readonly fuel: number };
};

/** @throws InternalError for a task of another kind, which the scheduler gives to another executor */
export function requireWasmTask(task: ExecutionTask): WasmTask {
  const { workload, module, resources } = task;
  if (workload.kind !== 'wasm' || module === null || resources.fuel === null) {
    throw new InternalError(`a task of kind '${workload.kind}' is not for the executor of modules`);
  }
  return { ...task, workload, module, resources: { ...resources, fuel: resources.fuel } };
}

/** What a child is sent for a task. @throws SandboxError SANDBOX_RESUME_STATE */
export function createChildTask(task: WasmTask, digest: Buffer): ChildTask {
  const { workload, resources } = task;
  const inputs = [...task.inputs].sort((a, b) => (a.path < b.path ? -1 : 1));
  const limits: StateLimits = {
    maxPages: Math.min(MAX_PAGES, Math.floor(resources.memoryBytes / PAGE_BYTES)),
    fuel: resources.fuel,
    outputBytes: resources.outputBytes,
    logBytes: resources.logBytes,
  };
  const request: RunRequest = {
    ...limits,
    digest,
    abi: workload.abi,
    seed: workload.seed,
    arguments: workload.arguments,
    // Ascending order: equal jobs give equal programs however their maps were built.
    environment: Object.entries(workload.environment).sort(([a], [b]) => (a < b ? -1 : 1)),
    inputs: inputs.map((input) => ({ path: input.path, sizeBytes: input.bytes.length })),
    checkpoints: task.checkpoints,
    resume: task.resume === null ? null : createResume(task, task.resume, limits),
  };
  return {
    request,
    module: task.module,
    moduleKey: digest.toString('hex'),
    inputs,
    pieces: task.resume?.pieces ?? null,
    wallTimeMs: resources.wallTimeMs,
  };
}

type GivenState = NonNullable<ExecutionTask['resume']>;

/** A state comes from strangers: it is checked before any of it is sent. */
function createResume(task: WasmTask, { step, state }: GivenState, limits: StateLimits): ResumeRequest {
  const isStepping = task.workload.abi === 'fogproof';
  if (isStepping !== (state.kind === 'memory')) return refuse(`a state of ${state.kind} is not one of this program`);
  const fault = findStateFault(state, limits);
  if (fault !== null) return refuse(fault);
  if ((readHost(state)?.steps ?? step) !== step) return refuse(`it is not the state after step ${step}`);
  const sized = sizePieces(state);
  if (sized === null) return refuse('it gives one digest to pieces of two sizes');
  return { step, state, pieceSizes: sized.sizes };
}

function refuse(reason: string): never {
  throw new SandboxError({ code: 'SANDBOX_RESUME_STATE', reason });
}
