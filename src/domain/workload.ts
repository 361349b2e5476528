import type { ExecutorKind } from './capability.ts';
import type { BlobId } from './ids.ts';
import type { Job, Resources, Workload } from './job.ts';

export interface ProgramBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

/** The blob that a workload's program comes in: a module, or the archive of a command's root. Null: the provider's own is run. */
export function findProgramBlob(workload: Workload): ProgramBlob | null {
  if (workload.kind === 'wasm') return { blob: workload.module, sizeBytes: workload.moduleSizeBytes };
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

/** Only modules have steps and fuel that checkpoints can fall on: every other program has the training rounds that it reports. */
export function fitsSchedule({
  workload,
  checkpoints,
  comparisons,
}: Pick<Job, 'workload' | 'checkpoints' | 'comparisons'>): boolean {
  if (workload.kind === 'wasm') return true;
  return checkpoints === undefined ? comparisons === undefined : checkpoints.schedule.kind === 'rounds';
}

/** Calls a step at a time: only such programs have steps that checkpoints can fall on. */
export function isStepping(workload: Workload): boolean {
  return workload.kind === 'wasm' && workload.abi === 'fogproof';
}
