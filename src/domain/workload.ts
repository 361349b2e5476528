import type { ExecutorKind } from './capability.ts';
import type { BlobId } from './ids.ts';
import type { Job, Resources, Workload } from './job.ts';

export interface ProgramBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

/** The blob that a workload's program comes in: a module, a model, or the archive of a command's root. Null: the provider's own is run. */
export function findProgramBlob(workload: Workload): ProgramBlob | null {
  if (workload.kind === 'wasm') return { blob: workload.module, sizeBytes: workload.moduleSizeBytes };
  if (workload.kind === 'inference') return { blob: workload.model, sizeBytes: workload.modelSizeBytes };
  return workload.root.kind === 'archive' ? workload.root : null;
}

/** Whether work of a kind counts fuel: only what is instrumented does. */
export function hasFuel(kind: ExecutorKind): boolean {
  return kind === 'wasm';
}

/** Limits name fuel where the kind of work has any, and nowhere else. */
export function fitsKind(kind: ExecutorKind, { fuel }: Pick<Resources, 'fuel'>): boolean {
  return hasFuel(kind) === (fuel !== null);
}

/** A result counts fuel where the job limits it, and keeps to that. */
export function isFuelWithin(fuel: number | null, { resources }: Pick<Job, 'resources'>): boolean {
  if (fuel === null || resources.fuel === null) return fuel === resources.fuel;
  return fuel <= resources.fuel;
}

/** Calls a step at a time: only such programs have steps that checkpoints can fall on. */
export function isStepping(workload: Workload): boolean {
  return workload.kind === 'wasm' && workload.abi === 'fogproof';
}

/** What a job says to its program: arguments, then names and values of the environment. A model is told nothing. */
export function listProgramText(workload: Workload): readonly string[] {
  if (workload.kind === 'inference') return [];
  return [...workload.arguments, ...Object.entries(workload.environment).flat()];
}
