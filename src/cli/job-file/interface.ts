/**
 * job-file owns what a person writes to describe a job: reading it, every problem in it with its place and a hint, and
 * the draft that is submitted. It does not own storing its files (`blob.add`) nor what a job is (domain/job.ts).
 *
 *   openJobFile(path) ─▶ planJob or, of a batch, expandBatch ─▶ JobPlan ─▶ placeFolders ─▶ add each of `files` ─▶ completeDraft ─▶ JobDraft
 */
import type { BlobId } from '../../domain/ids.ts';
import type { InferenceWorkload } from '../../domain/inference-workload.ts';
import type { CommandWorkload, ContainerWorkload, WasmWorkload } from '../../domain/job.ts';
import type { JobFile } from '../../domain/job-file.ts';
import type { JobDraft } from '../../scheduler/interface.ts';

export interface JobFileProblem {
  readonly severity: 'error' | 'warning';
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** Such as `resources.memory`, or '' for the file as a whole. */
  readonly field: string;
  readonly message: string;
  readonly hint: string;
}

export type JobFileParse =
  | { readonly kind: 'valid'; readonly jobFile: JobFile; readonly locate: FieldLocator }
  | { readonly kind: 'invalid'; readonly problems: readonly JobFileProblem[] };

/** Where a field stands in the text; the nearest part that is there if the field is absent. */
export type FieldLocator = (field: readonly PropertyKey[]) => { readonly line: number; readonly column: number };

/** A job file whose text is valid. */
export interface OpenedJobFile {
  readonly path: string;
  readonly jobFile: JobFile;
  readonly locate: FieldLocator;
}

/** A file of this machine that the job needs as a blob. */
export type PlannedFile =
  | { readonly role: 'program'; readonly path: string }
  | PlannedImage
  | ImagePart
  | { readonly role: 'input'; readonly path: string; readonly jobPath: string };

/** An image, which becomes its parts. */
export interface PlannedImage {
  readonly role: 'image';
  readonly path: string;
  readonly reference?: string | undefined;
  readonly digest?: string | undefined;
}

/** A file of an image, which hashes to its digest. Layers come in their order, the lowest first. */
export interface ImagePart {
  readonly role: 'image-part';
  readonly part: 'manifest' | 'config' | 'layer';
  readonly path: string;
  readonly digest: string;
}

/** A blob that the node already has. */
export interface AddedBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

export type KnownBlob = AddedBlob &
  ({ readonly role: 'program' } | { readonly role: 'input'; readonly jobPath: string });

/** A folder that the node already has; the files in it become inputs under the path. */
export interface KnownFolder {
  readonly folder: BlobId;
  readonly jobPath: string;
}

/** What runs but for the blobs that it comes in: a module, a model, the archive of a root, which is null here, or an image. */
export type PlannedWorkload =
  | Omit<WasmWorkload, 'module' | 'moduleSizeBytes'>
  | Omit<ContainerWorkload, 'image'>
  | Omit<InferenceWorkload, 'model' | 'modelSizeBytes'>
  | (Omit<CommandWorkload, 'root'> & { readonly root: Extract<CommandWorkload['root'], { kind: 'host' }> | null });

/** A job but for the ids of its blobs. Paths are absolute; a file may be named more than once. */
export interface JobPlan {
  readonly draft: Omit<JobDraft, 'workload' | 'inputs'>;
  readonly workload: PlannedWorkload;
  readonly files: readonly PlannedFile[];
  readonly knownBlobs: readonly KnownBlob[];
  /** None once `placeFolders` put what is in them into `knownBlobs`. */
  readonly knownFolders: readonly KnownFolder[];
}
