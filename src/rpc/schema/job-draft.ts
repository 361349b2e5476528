import { z } from 'zod';
import { inferenceWorkloadSchema } from '../../domain/inference-workload.ts';
import {
  archiveRootSchema,
  checkpointsSchema,
  commandWorkloadSchema,
  confidentialSchema,
  containerImageSchema,
  containerWorkloadSchema,
  hostRootSchema,
  imageLayerSchema,
  inputSchema,
  jobSchema,
  resourcesSchema,
  wasmWorkloadSchema,
} from '../../domain/job.ts';
import { MAX_IMAGE_LAYERS } from '../../domain/oci-image.ts';
import { blobIdSchema, bytesSchema, EXAMPLE_BLOB, peerKeySchema, unixMsSchema } from './common.ts';

/** `JobDraft` in JSON: domain's schemas where their form is JSON already, ids and bytes as text elsewhere. */
export const jobDraftSchema = z.strictObject({
  name: jobSchema.shape.name,
  deadlineMs: unixMsSchema,
  capabilityClass: jobSchema.shape.capabilityClass,
  workload: z.discriminatedUnion('kind', [
    z.strictObject({
      ...wasmWorkloadSchema.shape,
      module: blobIdSchema,
      seed: bytesSchema(32, 32, "Seeds the job's own random generator: 32 bytes"),
    }),
    z.strictObject({
      ...commandWorkloadSchema.shape,
      root: z.discriminatedUnion('kind', [
        z.strictObject({ ...archiveRootSchema.shape, blob: blobIdSchema }),
        hostRootSchema,
      ]),
    }),
    z.strictObject({
      ...containerWorkloadSchema.shape,
      image: z.strictObject({
        ...containerImageSchema.shape,
        layers: z
          .array(z.strictObject({ ...imageLayerSchema.shape, blob: blobIdSchema }))
          .max(MAX_IMAGE_LAYERS)
          .describe('The lowest first.'),
      }),
    }),
    z.strictObject({ ...inferenceWorkloadSchema.shape, model: blobIdSchema }),
  ]),
  inputs: z.array(z.strictObject({ ...inputSchema.shape, blob: blobIdSchema })).max(256),
  resources: resourcesSchema,
  isolation: jobSchema.shape.isolation,
  replication: jobSchema.shape.replication,
  retries: jobSchema.shape.retries,
  market: jobSchema.shape.market,
  priceCeiling: jobSchema.shape.priceCeiling,
  priority: jobSchema.shape.priority,
  private: jobSchema.shape.private,
  confidential: z
    .strictObject({ policy: confidentialSchema.shape.policy })
    .optional()
    .describe('Inputs are given in plain, and sealed before anything leaves this node (docs/confidential.md).'),
  checkpoints: z.strictObject({ ...checkpointsSchema.shape, holder: peerKeySchema.nullable() }).optional(),
  comparisons: jobSchema.shape.comparisons,
});

export const EXAMPLE_DRAFT = {
  name: 'train digits',
  deadlineMs: 1_790_003_600_000,
  capabilityClass: 'cpu',
  workload: {
    kind: 'wasm',
    module: EXAMPLE_BLOB,
    moduleSizeBytes: 20_480,
    abi: 'fogproof',
    arguments: [],
    environment: {},
    seed: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  },
  inputs: [{ path: '/data.csv', blob: EXAMPLE_BLOB, sizeBytes: 264_712 }],
  resources: {
    memoryBytes: 67_108_864,
    fuel: 10_000_000_000,
    wallTimeMs: 60_000,
    outputBytes: 1_048_576,
    logBytes: 65_536,
  },
  isolation: 'process',
  replication: { replicas: 1, quorum: 1, diversity: 'peer' },
  retries: 3,
  market: 'direct',
  priceCeiling: '0',
};
