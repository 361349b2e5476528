import { z } from 'zod';
import { executorKindSchema, isolationLevelSchema, TEE_KINDS, teeKindSchema } from './capability.ts';
import { MAX_GPUS, offeredGpuSchema } from './gpu.ts';
import { bytesSchema, decimalSchema, integerSchema, objectLink, peerKeySchema, unixMsSchema } from './ids.ts';

import { prioritySchema, resourcesSchema } from './job.ts';
import type { ObjectType } from './object-type.ts';
import { programNeedsSchema } from './program-needs.ts';

/** What a provider must know to answer: never the input. */
export const jobTermsSchema = z.strictObject({
  workloadKind: executorKindSchema,
  resources: resourcesSchema,
  isolation: isolationLevelSchema,
  deadlineMs: unixMsSchema,
  priceCeiling: decimalSchema,
  /** True if the result is committed to before it is revealed (more than one replica). */
  commitReveal: z.boolean(),
  /** Absent: normal. */
  priority: prioritySchema.optional(),
  /** Evidence that is asked for before anything is released; absent: the job is not confidential. */
  confidential: z
    .strictObject({ kinds: z.array(teeKindSchema).min(1).max(TEE_KINDS.length), gpus: z.boolean() })
    .optional(),
  /** Of native programs, such as commands; absent of modules. */
  needs: programNeedsSchema.optional(),
});
export type JobTerms = z.output<typeof jobTermsSchema>;

export const offerSchema = z.strictObject({
  type: z.literal('fogproof/offer@1'),
  network: z.string().min(1).max(64),
  /** The job, or for jobs submitted together the batch statement that signs them. */
  subject: objectLink,
  requester: peerKeySchema,
  provider: peerKeySchema,
  nonce: bytesSchema(16),
  terms: jobTermsSchema,
  /** Attempts that this offer covers; 1 but for a batch. */
  attempts: integerSchema(1, 4096),
  /** Price of one attempt in base units of the network's token. */
  price: decimalSchema,
  isolation: isolationLevelSchema,
  /** Names the instrumenter, which must be equal across replicas. */
  instrumenter: z.string().min(1).max(64),
  /** Of which environment it will show evidence; absent where none is asked for. */
  evidence: teeKindSchema.optional(),
  /** Held for the attempt; absent where none are asked for. */
  gpus: z.array(offeredGpuSchema).min(1).max(MAX_GPUS).optional(),
  /** How long, as it expects, an attempt waits in its queue after the lease, ms. Absent: it starts at once. */
  startsWithinMs: integerSchema(1).optional(),
  expiresAtMs: unixMsSchema,
});
export type Offer = z.output<typeof offerSchema>;
export const OFFER: ObjectType<Offer> = { type: 'fogproof/offer@1', schema: offerSchema, maxBytes: 8 * 1024 };
