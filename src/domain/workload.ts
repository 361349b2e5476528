import type { ExecutorKind } from './capability.ts';
import type { BlobId } from './ids.ts';
import type { Job, Resources, Workload } from './job.ts';
import { blobOfDigest } from './oci-image.ts';

export interface ProgramBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

/** The one blob that a workload's program comes in: a module, a model, or the archive of a command's root. Null: an image, or the provider's own. */
export function findProgramBlob(workload: Workload): ProgramBlob | null {
  if (workload.kind === 'wasm') return { blob: workload.module, sizeBytes: workload.moduleSizeBytes };
  if (workload.kind === 'inference') return { blob: workload.model, sizeBytes: workload.modelSizeBytes };
  if (workload.kind === 'container') return null;
  return workload.root.kind === 'archive' ? workload.root : null;
}

const PROGRAM_NAMES = { wasm: 'module', command: 'root', inference: 'model' } as const;

/** Every blob that a workload's program comes in, with what it is called: of an image its documents and layers. */
export function listProgramBlobs(workload: Workload): readonly (ProgramBlob & { readonly name: string })[] {
  if (workload.kind === 'container') {
    const { digest, manifestSizeBytes, config, layers } = workload.image;
    return [
      { name: 'manifest', blob: blobOfDigest(digest), sizeBytes: manifestSizeBytes },
      { name: 'configuration', blob: blobOfDigest(config.digest), sizeBytes: config.sizeBytes },
      ...layers.map(({ blob, sizeBytes }, index) => ({ name: `layer ${index}`, blob, sizeBytes })),
    ];
  }
  const program = findProgramBlob(workload);
  return program === null ? [] : [{ name: PROGRAM_NAMES[workload.kind], ...program }];
}

/** The digest of the image that a workload runs; undefined where it runs none. */
export function imageOf(workload: Workload): string | undefined {
  return workload.kind === 'container' ? workload.image.digest : undefined;
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
  // A model has no rounds, and its results may differ in their last bits.
  if (workload.kind === 'inference') return checkpoints === undefined;
  // The rounds of a container's program are not looked at yet.
  if (workload.kind === 'container') return checkpoints === undefined && comparisons === undefined;
  return checkpoints === undefined ? comparisons === undefined : checkpoints.schedule.kind === 'rounds';
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
