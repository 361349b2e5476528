import { resolve } from 'node:path';
import type { CapabilityClass } from '../../domain/capability.ts';
import { DEFAULT_CHECKPOINT_FUEL, DEFAULT_CHECKPOINT_MEMORY_BYTES, MAX_CHECKPOINTS } from '../../domain/checkpoint.ts';
import { findRequestClass, type GpuRequest } from '../../domain/gpu.ts';
import { BlobId, PeerKey, UnixMs } from '../../domain/ids.ts';
import type { ContainerImage, Job, Workload } from '../../domain/job.ts';
import { DEFAULT_FUEL, type InputSource, type JobFile, leastQuorum } from '../../domain/job-file.ts';
import { resolveGpus } from '../../domain/job-gpu-file.ts';
import { concatBytes, encodeU64 } from '../../lib/bytes.ts';
import type { Random } from '../../lib/random.ts';
import type { JobDraft } from '../../scheduler/interface.ts';
import { JobFileError } from './errors.ts';
import type {
  AddedBlob,
  ImagePart,
  JobPlan,
  KnownBlob,
  KnownFolder,
  PlannedFile,
  PlannedWorkload,
} from './interface.ts';

/** `directory` is where relative paths start: the folder of the job file. */
export interface ResolveContext {
  readonly directory: string;
  readonly nowMs: number;
  readonly random: Random;
  /** JSON of a confidential job's policy (`loadPolicy`). Absent: the plan is for its files alone. */
  readonly policy?: string | undefined;
}

/**
 * Makes a validated job file concrete: absolute paths, times counted from `nowMs`, every default. A seed that the file
 * does not give is drawn at random here, so that each submit is a new experiment and all its replicas see the same.
 */
export function resolveJobFile(jobFile: JobFile, context: ResolveContext): JobPlan {
  const { workload, resources } = jobFile;
  const gpus = resolveGpus(resources.gpus);
  const sources: readonly (Place & { readonly source: InputSource })[] = [
    ...listProgramSources(workload),
    ...Object.entries(jobFile.inputs).map(([jobPath, source]) => ({ role: 'input' as const, jobPath, source })),
  ];
  return {
    draft: {
      name: jobFile.name,
      deadlineMs: UnixMs(context.nowMs + jobFile.deadline),
      capabilityClass: jobFile.capabilityClass ?? chooseClass(jobFile, gpus),
      resources: {
        memoryBytes: resources.memory,
        fuel: workload.kind === 'wasm' ? (resources.fuel ?? DEFAULT_FUEL) : null,
        wallTimeMs: resources.wallTime,
        outputBytes: resources.output,
        logBytes: resources.logs,
        ...(gpus === undefined ? {} : { gpus }),
      },
      isolation: workload.kind === 'wasm' ? jobFile.isolation : 'bubblewrap',
      replication: {
        replicas: jobFile.replicas,
        quorum: jobFile.quorum ?? leastQuorum(jobFile.replicas),
        diversity: jobFile.diversity,
      },
      retries: jobFile.retries,
      market: 'direct',
      priceCeiling: jobFile.priceCeiling,
      ...(jobFile.priority === 'normal' ? {} : { priority: jobFile.priority }),
      ...(jobFile.private ? { private: true } : {}),
      ...(context.policy === undefined ? {} : { confidential: { policy: context.policy } }),
      ...resolveCheckpoints(jobFile),
    },
    workload: resolveWorkload(workload, context.random),
    files: [
      ...planImage(workload, context.directory),
      ...sources.flatMap(({ source, ...place }) => planFile(source, place, context.directory)),
    ],
    knownBlobs: sources.flatMap(({ source, ...place }) => planBlob(source, place)),
    knownFolders: sources.flatMap(({ source, ...place }) => planFolder(source, place)),
  };
}

/** The narrowest that the job needs (design section 4). */
function chooseClass({ confidential }: JobFile, gpus: GpuRequest | undefined): CapabilityClass {
  if (confidential !== undefined) return 'tee';
  return gpus === undefined ? 'cpu' : findRequestClass(gpus);
}

/** A schedule by fuel never passes the longest chain before the fuel is used up (domain/checkpoint.ts). */
function resolveCheckpoints(jobFile: JobFile): Pick<Job, 'checkpoints' | 'comparisons'> {
  const { checkpoints, comparisons, workload, resources } = jobFile;
  if (workload.kind === 'inference') return comparisons === undefined ? {} : { comparisons };
  const { fuel = DEFAULT_FUEL } = resources;
  if (checkpoints === 'none' || (checkpoints === undefined && !isStepping(workload))) return {};
  if (jobFile.confidential !== undefined) return {};
  const leastFuel = Math.ceil(fuel / MAX_CHECKPOINTS);
  const size = Math.max(1, resources.memory / DEFAULT_CHECKPOINT_MEMORY_BYTES);
  const defaultFuel = Math.max(Math.ceil(DEFAULT_CHECKPOINT_FUEL * size), leastFuel);
  // It could never come to its first checkpoint before its end.
  if (checkpoints === undefined && fuel <= defaultFuel) return {};
  const { everySteps, everyRounds, everyFuel = defaultFuel } = checkpoints ?? {};
  const schedule =
    everyRounds !== undefined
      ? ({ kind: 'rounds', every: everyRounds } as const)
      : everySteps !== undefined
        ? ({ kind: 'steps', every: everySteps } as const)
        : ({ kind: 'fuel', every: everyFuel } as const);
  return {
    checkpoints: {
      schedule,
      holder: checkpoints?.holder === undefined ? null : PeerKey(checkpoints.holder),
      sealed: checkpoints?.sealed ?? jobFile.private,
    },
    ...(comparisons === undefined ? {} : { comparisons }),
  };
}

function isStepping(workload: JobFile['workload']): boolean {
  return workload.kind === 'wasm' && workload.abi === 'fogproof';
}

/** The file that the program comes in; none where the provider's own is run. */
function listProgramSources(workload: JobFile['workload']): (Place & { readonly source: InputSource })[] {
  if (workload.kind === 'wasm') return [{ role: 'program', source: workload.module }];
  if (workload.kind === 'container') return [];
  if (workload.kind === 'inference') return [{ role: 'program', source: workload.model }];
  return workload.root === 'host' ? [] : [{ role: 'program', source: workload.root }];
}

function resolveWorkload(workload: JobFile['workload'], random: Random): PlannedWorkload {
  if (workload.kind === 'inference') {
    const { model: _, batching, ...options } = workload;
    return { ...options, batchRows: batching === 'off' ? null : batching.maxRows };
  }
  const { arguments: words, environment } = workload;
  if (workload.kind === 'wasm') {
    const { abi, seed } = workload;
    return { kind: 'wasm', abi, arguments: words, environment, seed: resolveSeed(seed, random) };
  }
  const { limits } = workload;
  const held = { cpus: Math.round(limits.cpus * 1000), processes: limits.processes, scratchBytes: limits.scratch };
  if (workload.kind === 'container') {
    const { entrypoint = null, workingFolder = null } = workload;
    return { kind: 'container', entrypoint, arguments: words, environment, workingFolder, limits: held };
  }
  const { root, program, network } = workload;
  return {
    kind: 'command',
    root: root === 'host' ? { kind: 'host' } : null,
    program,
    arguments: words,
    environment,
    limits: held,
    ...(network === undefined ? {} : { network }),
  };
}

function planImage(workload: JobFile['workload'], directory: string): PlannedFile[] {
  if (workload.kind !== 'container') return [];
  const { image, reference, digest } = workload;
  return [{ role: 'image', path: resolve(directory, image), reference, digest }];
}

type Place = { readonly role: 'program' } | { readonly role: 'input'; readonly jobPath: string };

function planFile(source: InputSource, place: Place, directory: string): PlannedFile[] {
  return typeof source === 'string' ? [{ ...place, path: resolve(directory, source) }] : [];
}

function planBlob(source: InputSource, place: Place): KnownBlob[] {
  if (typeof source === 'string' || 'folder' in source) return [];
  return [{ ...place, blob: BlobId(source.blob), sizeBytes: source.size }];
}

function planFolder(source: InputSource, place: Place): KnownFolder[] {
  if (typeof source === 'string' || !('folder' in source) || place.role === 'program') return [];
  return [{ folder: BlobId(source.folder), jobPath: place.jobPath }];
}

type SeedField = Extract<JobFile['workload'], { kind: 'wasm' }>['seed'];

/** A number is 32 bytes, big-endian; text is the 64 hex digits of 32 bytes. */
function resolveSeed(seed: SeedField, random: Random): Uint8Array {
  if (seed === undefined) return random.bytes(32);
  if (typeof seed === 'number') return concatBytes(new Uint8Array(24), encodeU64(seed));
  return Uint8Array.from(seed.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/**
 * The draft to submit, once every file of the plan is a blob of the node, and its folders are placed.
 * @param added by the `path` of the planned file
 * @throws JobFileError JOB_FILE_MISSING_BLOB
 */
export function completeDraft(plan: JobPlan, added: ReadonlyMap<string, AddedBlob>): JobDraft {
  const [folder] = plan.knownFolders;
  if (folder !== undefined) throw new JobFileError({ code: 'JOB_FILE_MISSING_BLOB', path: folder.jobPath });
  const blobs = [
    ...plan.knownBlobs,
    ...plan.files.map((file) => {
      const blob = added.get(file.path);
      if (blob === undefined) throw new JobFileError({ code: 'JOB_FILE_MISSING_BLOB', path: file.path });
      return { ...file, blob: blob.blob, sizeBytes: blob.sizeBytes };
    }),
  ];
  const program = blobs.find(({ role }) => role === 'program');
  const parts = blobs.flatMap((blob) => (blob.role === 'image-part' ? [blob] : []));
  const workload = completeWorkload(plan.workload, program, parts);
  const inputs = blobs
    .flatMap((blob) => (blob.role === 'input' ? [blob] : []))
    .map(({ jobPath, blob, sizeBytes }) => ({ path: jobPath, blob, sizeBytes }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return { ...plan.draft, workload, inputs };
}

function completeWorkload(
  planned: PlannedWorkload,
  program: AddedBlob | undefined,
  parts: readonly (ImagePart & AddedBlob)[],
): Workload {
  if (planned.kind === 'container') return { ...planned, image: completeImage(parts) };
  if (planned.kind === 'command' && planned.root !== null) return { ...planned, root: planned.root };
  if (program === undefined) throw new JobFileError({ code: 'JOB_FILE_MISSING_BLOB', path: 'the program' });
  const { blob, sizeBytes } = program;
  if (planned.kind === 'wasm') return { ...planned, module: blob, moduleSizeBytes: sizeBytes };
  if (planned.kind === 'inference') return { ...planned, model: blob, modelSizeBytes: sizeBytes };
  return { ...planned, root: { kind: 'archive', blob, sizeBytes } };
}

function completeImage(parts: readonly (ImagePart & AddedBlob)[]): ContainerImage {
  const manifest = parts.find(({ part }) => part === 'manifest');
  const config = parts.find(({ part }) => part === 'config');
  if (manifest === undefined || config === undefined) {
    throw new JobFileError({ code: 'JOB_FILE_MISSING_BLOB', path: 'the image' });
  }
  return {
    digest: manifest.digest,
    manifestSizeBytes: manifest.sizeBytes,
    config: { digest: config.digest, sizeBytes: config.sizeBytes },
    layers: parts.flatMap(({ part, digest, blob, sizeBytes }) =>
      part === 'layer' ? [{ digest, blob, sizeBytes }] : [],
    ),
  };
}
