import { z } from 'zod';
import { anchorSchema } from './anchor.ts';
import { commitmentSetSchema } from './commitment.ts';
import { blobLink, integerSchema, unixMsSchema } from './ids.ts';
import { MAX_REPLICAS } from './job.ts';
import type { ObjectType } from './object-type.ts';
import { signedWireSchema } from './signed.ts';

/** A receipt may be anchored by its provider and by its requester. */
const MAX_BUNDLE_ANCHORS = 2 * MAX_REPLICAS;

/** Everything about one attempt that a third party needs. */
export const bundleAttemptSchema = z.strictObject({
  lease: signedWireSchema,
  acceptance: signedWireSchema,
  receipt: signedWireSchema,
  commitment: signedWireSchema.nullable(),
  setSignature: signedWireSchema.nullable(),
  /** The last signed progress: shows that the lease was renewed where the run outlasted its first term. */
  lastProgress: signedWireSchema.optional(),
});
export type BundleAttempt = z.output<typeof bundleAttemptSchema>;

/**
 * A replica that committed and did not reveal: without it the set of commitments could not be told from one that hides
 * a result.
 */
export const unrevealedReplicaSchema = z.strictObject({
  lease: signedWireSchema,
  commitment: signedWireSchema,
  setSignature: signedWireSchema.nullable(),
});
export type UnrevealedReplica = z.output<typeof unrevealedReplicaSchema>;

/**
 * Root block of a bundle file (CARv1): the signed objects; the blobs they name follow as raw blocks.
 * `blobs` says which are in the file and which are only named.
 */
export const bundleSchema = z.strictObject({
  type: z.literal('fogproof/bundle@1'),
  job: signedWireSchema,
  attempts: z.array(bundleAttemptSchema).min(1).max(MAX_REPLICAS),
  commitmentSet: commitmentSetSchema.nullable(),
  unrevealed: z.array(unrevealedReplicaSchema).max(MAX_REPLICAS),
  /** Replicas that were asked for and are not among the attempts, and why. */
  missingReplicas: z
    .array(z.strictObject({ replica: integerSchema(0, MAX_REPLICAS - 1), reason: z.string().max(300) }))
    .max(MAX_REPLICAS),
  blobs: z.array(z.strictObject({ blob: blobLink, sizeBytes: integerSchema(), included: z.boolean() })).max(1024),
  /** For receipts of this bundle that were under a root on a chain when it was exported. Absent is none. */
  anchors: z.array(anchorSchema).max(MAX_BUNDLE_ANCHORS).optional(),
  exportedAtMs: unixMsSchema,
});
export type Bundle = z.output<typeof bundleSchema>;
export const BUNDLE: ObjectType<Bundle> = {
  type: 'fogproof/bundle@1',
  schema: bundleSchema,
  maxBytes: 4 * 1024 * 1024,
};
