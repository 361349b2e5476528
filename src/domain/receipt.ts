import { z } from 'zod';
import { executorKindSchema, isolationLevelSchema } from './capability.ts';
import { grantedGpuSchema, MAX_GPUS } from './gpu.ts';
import {
  blobLink,
  bytesSchema,
  integerSchema,
  jobLink,
  leaseLink,
  objectLink,
  peerKeySchema,
  unixMsSchema,
} from './ids.ts';
import { inferenceReportSchema } from './inference-workload.ts';
import { jobPathSchema, MAX_JOB_INPUTS } from './job.ts';
import type { ObjectType } from './object-type.ts';
import { imageDigestSchema } from './oci-image.ts';

/**
 * Ends of a program that follow from the program and its inputs alone: every honest replica sees the same, so they are
 * results, committed to and compared like any other. Commands and models are no more deterministic in their failures than in their outputs.
 */
export const PROGRAM_FAILURES = [
  'TRAP',
  'EXIT_CODE',
  'OUT_OF_FUEL',
  'STACK_EXHAUSTED',
  'MEMORY_LIMIT',
  'OUTPUT_LIMIT',
  'LOG_LIMIT',
  'STEP_FAILED',
  'MODULE_REFUSED',
  'PROGRAM_REFUSED',
  'OUTPUT_REFUSED',
  'PROCESS_LIMIT',
  'SCRATCH_LIMIT',
  'CPU_LIMIT',
  'MODEL_REFUSED',
  'INPUT_REFUSED',
  'INFERENCE_FAILED',
] as const;

/** Ends that say something of the provider or the host, not of the program: never a result, always retried elsewhere. */
export const ATTEMPT_FAILURES = [
  'WALL_TIME',
  'EXECUTOR_CRASHED',
  'EXECUTOR_UNAVAILABLE',
  'INPUT_UNAVAILABLE',
  'CANCELLED',
  'LEASE_EXPIRED',
  'PAUSED',
  'STATE_MISMATCH',
  'NOT_RELEASED',
  'OPERATOR_STOPPED',
  'INTERNAL',
] as const;

export const outcomeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('completed') }),
  z.strictObject({
    kind: z.literal('program-failed'),
    code: z.enum(PROGRAM_FAILURES),
    detail: z.string().max(300),
  }),
  z.strictObject({
    kind: z.literal('attempt-failed'),
    code: z.enum(ATTEMPT_FAILURES),
    detail: z.string().max(300),
  }),
]);
export type Outcome = z.output<typeof outcomeSchema>;

export const outputFileSchema = z.strictObject({ path: jobPathSchema, blob: blobLink, sizeBytes: integerSchema() });
export type OutputFile = z.output<typeof outputFileSchema>;

/**
 * What an attempt gave: its id is the output root that replicas commit to and compare. No provider, time or usage is in
 * it; fuel is, where there is any, because it is exact. Files are in ascending order of path.
 */
export const resultSchema = z.strictObject({
  type: z.literal('fogproof/result@1'),
  job: jobLink,
  outcome: outcomeSchema,
  outputs: z.array(outputFileSchema).max(MAX_JOB_INPUTS),
  /** Null where the kind of work has none: commands. */
  fuel: integerSchema().nullable(),
  steps: integerSchema(),
  /** Hash chain over the metrics in order (docs/stepping.md section 3.4). */
  metricsHash: bytesSchema(32),
  /** The module as it ran, after instrumentation; null of a command, and of a module that was refused. */
  instrumentedModule: blobLink.nullable(),
  instrumenter: z.string().min(1).max(64),
});
export type Result = z.output<typeof resultSchema>;
export const RESULT: ObjectType<Result> = { type: 'fogproof/result@1', schema: resultSchema, maxBytes: 256 * 1024 };

/** What held the attempt, and which of its limits the kernel enforced. */
export const sandboxReportSchema = z.strictObject({
  executor: executorKindSchema,
  isolation: isolationLevelSchema,
  /** Each control in force, such as `permission-model`, `rlimit`, `network-namespace`, `seccomp`, `cgroup-v2`. */
  controls: z.array(z.string().max(64)).max(32),
  engine: z.string().max(100),
  /** Those that the program was given, and no other; absent where it was given none. */
  gpus: z.array(grantedGpuSchema).min(1).max(MAX_GPUS).optional(),
  /** Digest of the OCI image that ran; absent where none did. */
  image: imageDigestSchema.optional(),
  /** Of `inference` alone. */
  inference: inferenceReportSchema.optional(),
});
export type SandboxReport = z.output<typeof sandboxReportSchema>;

/** That the attested key stands behind the result of a confidential job (docs/confidential.md). */
export const receiptAttestationSchema = z.strictObject({
  /** The canonical `fogproof/attempt-evidence@1`. */
  evidence: blobLink,
  evidenceSizeBytes: integerSchema(1),
  /** Of the signed `fogproof/release@1`. */
  release: objectLink,
  /** By the `signingKey` of the runtime data, over the attested statement. */
  signature: bytesSchema(64),
});
export type ReceiptAttestation = z.output<typeof receiptAttestationSchema>;

/** The provider's signed statement about one attempt. */
export const receiptSchema = z.strictObject({
  type: z.literal('fogproof/receipt@1'),
  network: z.string().min(1).max(64),
  job: jobLink,
  lease: leaseLink,
  requester: peerKeySchema,
  provider: peerKeySchema,
  result: resultSchema,
  outputRoot: objectLink,
  /** Opens the commitment; null where nothing was committed. */
  salt: bytesSchema(32).nullable(),
  commitmentSet: objectLink.nullable(),
  /** Merkle root over H_1..H_N of the attempt's checkpoint chain; null where the job makes no checkpoints. */
  checkpointRoot: bytesSchema(32).nullable(),
  /** The chain itself (domain/checkpoint.ts); absent where `checkpointRoot` is null. */
  checkpointChain: z.strictObject({ blob: blobLink, sizeBytes: integerSchema(1), links: integerSchema() }).optional(),
  /** Only of confidential jobs, and then of every result. */
  attestation: receiptAttestationSchema.optional(),
  sandbox: sandboxReportSchema,
  usage: z.strictObject({
    cpuTimeMs: integerSchema(),
    wallTimeMs: integerSchema(),
    peakMemoryBytes: integerSchema(),
  }),
  startedAtMs: unixMsSchema,
  finishedAtMs: unixMsSchema,
});
export type Receipt = z.output<typeof receiptSchema>;
export const RECEIPT: ObjectType<Receipt> = { type: 'fogproof/receipt@1', schema: receiptSchema, maxBytes: 512 * 1024 };
