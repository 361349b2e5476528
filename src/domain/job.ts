import { z } from 'zod';
import { capabilityClassSchema, isolationLevelSchema } from './capability.ts';
import { egressSchema } from './egress.ts';
import { gpuRequestSchema } from './gpu.ts';
import { blobLink, bytesSchema, decimalSchema, integerSchema, peerKeySchema, unixMsSchema } from './ids.ts';
import { inferenceWorkloadSchema } from './inference-workload.ts';
import type { ObjectType } from './object-type.ts';
import { imageDigestSchema, MAX_IMAGE_DOCUMENT_BYTES, MAX_IMAGE_LAYERS, MAX_LAYER_BYTES } from './oci-image.ts';

/** Largest number of input files of one job. */
export const MAX_JOB_INPUTS = 256;
/** Largest number of replicas of one job. */
export const MAX_REPLICAS = 16;

/** A path inside the job's own file tree: absolute, no empty, `.` or `..` segment. */
export const jobPathSchema = z
  .string()
  .max(512)
  .regex(/^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/, 'expected an absolute path without empty, "." or ".." segments');

/** Names of the environment, and what they may be set to. */
const environmentSchema = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(4096));

/**
 * How a module is called. `wasi`: WASI preview 1 command, `_start` once. `fogproof`: exports `fogproof_init` and
 * `fogproof_step`, called until a step returns 1 (done) or less than 0 (failed); imports from `fogproof` only.
 */
export const wasmWorkloadSchema = z.strictObject({
  kind: z.literal('wasm'),
  module: blobLink,
  moduleSizeBytes: integerSchema(8),
  abi: z.enum(['wasi', 'fogproof']),
  arguments: z.array(z.string().max(4096)).max(256),
  environment: environmentSchema,
  /** Seeds the job's own random generator: equal on all replicas. */
  seed: bytesSchema(32),
});

/**
 * Read-only file systems of a command. `archive`: a tar, plain or gzip. `host`: the system folders of whichever provider
 * runs it, so nobody has committed to what the program is.
 */
export const archiveRootSchema = z.strictObject({
  kind: z.literal('archive'),
  blob: blobLink,
  sizeBytes: integerSchema(1),
});
export const hostRootSchema = z.strictObject({ kind: z.literal('host') });
const commandRootSchema = z.discriminatedUnion('kind', [archiveRootSchema, hostRootSchema]);

/** What a command may take besides `resources`, which has its memory, wall time, output and logs. */
export const commandLimitsSchema = z.strictObject({
  /** Thousandths of a processor. */
  cpus: integerSchema(10, 1_024_000),
  /** Processes and threads together. */
  processes: integerSchema(1, 32_768),
  /** Of /tmp, and as much again of /dev/shm; both are part of `memoryBytes`. */
  scratchBytes: integerSchema(4096, 64 * 2 ** 30),
});

/** A program that runs once in a read-only root file system (docs/job-spec.md). */
export const commandWorkloadSchema = z.strictObject({
  kind: z.literal('command'),
  root: commandRootSchema,
  /** In the root. */
  program: jobPathSchema,
  arguments: z.array(z.string().max(4096)).max(256),
  environment: environmentSchema,
  limits: commandLimitsSchema,
  /** Absent: none at all. */
  network: egressSchema.optional(),
});

/** A layer of an image as it travels. Its blob may be a tree, which is named by another hash than OCI's of the same bytes. */
export const imageLayerSchema = z.strictObject({
  digest: imageDigestSchema,
  blob: blobLink,
  sizeBytes: integerSchema(1, MAX_LAYER_BYTES),
});

/** An OCI image by the digest of its manifest, with all that a provider fetches; manifest and configuration are blobs of their digest. */
export const containerImageSchema = z.strictObject({
  digest: imageDigestSchema,
  manifestSizeBytes: integerSchema(1, MAX_IMAGE_DOCUMENT_BYTES),
  config: z.strictObject({ digest: imageDigestSchema, sizeBytes: integerSchema(1, MAX_IMAGE_DOCUMENT_BYTES) }),
  /** The lowest first. */
  layers: z.array(imageLayerSchema).max(MAX_IMAGE_LAYERS),
});

/** An OCI image, run once (docs/job-spec.md). */
export const containerWorkloadSchema = z.strictObject({
  kind: z.literal('container'),
  image: containerImageSchema,
  /** In place of the image's; null: the image's. */
  entrypoint: z.array(z.string().max(4096)).min(1).max(64).nullable(),
  /** In place of the image's command; empty: the image's, or none where `entrypoint` is given. */
  arguments: z.array(z.string().max(4096)).max(256),
  /** Beside the image's, and in place of what has the same name. */
  environment: environmentSchema,
  /** Null: the image's. */
  workingFolder: jobPathSchema.nullable(),
  limits: commandLimitsSchema,
});

export const workloadSchema = z.discriminatedUnion('kind', [
  wasmWorkloadSchema,
  commandWorkloadSchema,
  containerWorkloadSchema,
  inferenceWorkloadSchema,
]);

export const inputSchema = z.strictObject({ path: jobPathSchema, blob: blobLink, sizeBytes: integerSchema() });

/** Hard limits of one attempt: it is stopped when it passes any of them. */
export const resourcesSchema = z.strictObject({
  memoryBytes: integerSchema(65_536, 64 * 2 ** 30),
  /** Instructions, counted exactly by the instrumented module. Null where the kind of work has none: all but `wasm`. */
  fuel: integerSchema(1).nullable(),
  wallTimeMs: integerSchema(1, 30 * 24 * 3_600_000),
  outputBytes: integerSchema(0, 2 ** 40),
  logBytes: integerSchema(0, 2 ** 30),
  /** Absent: none. */
  gpus: gpuRequestSchema.optional(),
});

/**
 * At which steps an attempt's state is committed to. Never at times: replicas have to do it at the same steps.
 * `fuel`: at the first step boundary after every so many units of fuel. `steps`: after every so many steps. `rounds`: for
 * training jobs that are not stepping modules, after every so many training rounds that they report.
 */
export const checkpointScheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('fuel'), every: integerSchema(1_000_000) }),
  z.strictObject({ kind: z.literal('steps'), every: integerSchema(1) }),
  z.strictObject({ kind: z.literal('rounds'), every: integerSchema(1) }),
]);
export type CheckpointSchedule = z.output<typeof checkpointScheduleSchema>;

export const checkpointsSchema = z.strictObject({
  schedule: checkpointScheduleSchema,
  /** Who is given each snapshot besides the provider that makes it; null is the requester itself. */
  holder: peerKeySchema.nullable(),
  /** Snapshots are sealed with a key that only requester and providers have. */
  sealed: z.boolean(),
});

/** A difference that is allowed: |a - b| <= absolute + relative · max(|a|, |b|). Decimal, such as '0.001' or '1e-6'. */
const toleranceSchema = z
  .string()
  .regex(/^[0-9]{1,16}(\.[0-9]{1,18})?(e-?[0-9]{1,2})?$/, "expected a decimal such as '1e-6'");

/**
 * For training jobs and models whose results are not the same to the last bit on every machine: the output files that are compared
 * as numbers, and how far they may differ. Output files that are not named have to be equal byte for byte.
 */
export const comparisonSchema = z.strictObject({
  path: jobPathSchema,
  /**
   * `f32`, `f64`: little-endian arrays. `text`: decimal numbers between white space, commas or semicolons. `npy`: arrays of
   * NumPy of the same type and shape, within the tolerance if they hold 32 or 64-bit floats.
   */
  element: z.enum(['f32', 'f64', 'text', 'npy']),
  absolute: toleranceSchema,
  relative: toleranceSchema,
});
export type Comparison = z.output<typeof comparisonSchema>;

/** How urgent: it weighs in the price (design section 9) and in a provider's queue (docs/scheduling.md). */
export const PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;
export type Priority = (typeof PRIORITIES)[number];
export const prioritySchema = z.enum(PRIORITIES);

export const replicationSchema = z.strictObject({
  /** Providers that each run the whole job. */
  replicas: integerSchema(1, MAX_REPLICAS),
  /** Equal results needed to accept; more than half of the replicas. */
  quorum: integerSchema(1, MAX_REPLICAS),
  /** Rule D of the `replicated` assurance. `peer`: no two replicas share a peer identity. */
  diversity: z.enum(['peer']),
});

/** Largest policy of a confidential job, characters. */
export const MAX_POLICY_CHARS = 64 * 1024;

/**
 * The inputs are sealed with a content key that only a provider gets whose evidence the policy accepts (docs/confidential.md).
 * The blobs of `inputs` are the sealed ones, and so are those of the outputs.
 */
export const confidentialSchema = z.strictObject({
  /** JSON of the policy of docs/attestation.md: evidence of a kind without a section is not accepted. */
  policy: z.string().min(2).max(MAX_POLICY_CHARS),
  /** One for each of `inputs`, in order: SHA-256("fogproof/input-commitment@1" ‖ 0x00 ‖ 32-byte salt ‖ SHA-256 of the plaintext). */
  commitments: z.array(bytesSchema(32)).max(MAX_JOB_INPUTS),
});
export type Confidential = z.output<typeof confidentialSchema>;

export const jobSchema = z.strictObject({
  type: z.literal('fogproof/job@1'),
  network: z.string().min(1).max(64),
  requester: peerKeySchema,
  /** Makes equal work submitted twice two jobs. */
  nonce: bytesSchema(16),
  name: z.string().min(1).max(100),
  createdAtMs: unixMsSchema,
  deadlineMs: unixMsSchema,
  capabilityClass: capabilityClassSchema,
  workload: workloadSchema,
  inputs: z.array(inputSchema).max(MAX_JOB_INPUTS),
  resources: resourcesSchema,
  isolation: isolationLevelSchema,
  replication: replicationSchema,
  /** Other providers tried for a replica whose attempt failed through the provider's fault. */
  retries: integerSchema(0, 32),
  market: z.literal('direct'),
  /** Most that one attempt may cost, in base units of the network's token; '0' is unpaid work. */
  priceCeiling: decimalSchema,
  /** Absent: normal. */
  priority: prioritySchema.optional(),
  /** Inputs and outputs are encrypted on the disks of requester and provider, and handed to nobody else. Absent: they are not. */
  private: z.literal(true).optional(),
  /** Absent: providers see inputs and outputs. */
  confidential: confidentialSchema.optional(),
  /** Absent: no checkpoints, so it cannot be paused, moved or replayed in part. */
  checkpoints: checkpointsSchema.optional(),
  /** Absent: results agree if they are byte-identical. Only where the schedule is by `rounds`, and of `inference`. */
  comparisons: z.array(comparisonSchema).min(1).max(MAX_JOB_INPUTS).optional(),
});

export type Job = z.output<typeof jobSchema>;
export type Workload = Job['workload'];
export type WasmWorkload = z.output<typeof wasmWorkloadSchema>;
export type CommandWorkload = z.output<typeof commandWorkloadSchema>;
export type ContainerWorkload = z.output<typeof containerWorkloadSchema>;
export type ContainerImage = z.output<typeof containerImageSchema>;
export type Resources = z.output<typeof resourcesSchema>;
/** Those of them that are amounts. */
export type ResourceAmount = Exclude<keyof Resources, 'gpus'>;
export type Replication = z.output<typeof replicationSchema>;

export const JOB: ObjectType<Job> = { type: 'fogproof/job@1', schema: jobSchema, maxBytes: 256 * 1024 };
