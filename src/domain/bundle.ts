import { z } from 'zod';
import { anchorSchema } from './anchor.ts';
import { snapshotReferenceSchema } from './checkpoint.ts';
import { commitmentSetSchema } from './commitment.ts';
import { blobLink, integerSchema, leaseLink, unixMsSchema } from './ids.ts';
import { MAX_JOB_INPUTS, MAX_REPLICAS } from './job.ts';
import type { ObjectType } from './object-type.ts';
import { signedWireSchema } from './signed.ts';

/** A receipt may be anchored by its provider and by its requester. */
const MAX_BUNDLE_ANCHORS = 2 * MAX_REPLICAS;

/** Module, inputs, and of each replica its chain, evidence and output files, which may differ within tolerances. */
export const MAX_BUNDLE_BLOBS = 1 + MAX_JOB_INPUTS + MAX_REPLICAS * (2 + MAX_JOB_INPUTS);

/** Longest line of attempts that one replica may have gone through and still be exported with all of them. */
export const MAX_INHERITED_ATTEMPTS = 256;
/** Signed checkpoints of one inherited attempt in a bundle: the last of them, if there were more. */
export const MAX_INHERITED_CHECKPOINTS = 64;

/** Everything about one attempt that a third party needs. */
export const bundleAttemptSchema = z.strictObject({
  lease: signedWireSchema,
  acceptance: signedWireSchema,
  receipt: signedWireSchema,
  commitment: signedWireSchema.nullable(),
  setSignature: signedWireSchema.nullable(),
  /** The last signed progress: shows that the lease was renewed where the run outlasted its first term. */
  lastProgress: signedWireSchema.optional(),
  /** `fogproof/release@1`, where the receipt has an attestation. */
  release: signedWireSchema.optional(),
  /**
   * Where it went on from, oldest first: each attempt that it inherited state from, with the checkpoint that was taken
   * over. Absent: it began at the beginning.
   */
  inherited: z
    .array(
      z.strictObject({
        lease: signedWireSchema,
        acceptance: signedWireSchema,
        /** Its first checkpoint and the one that was taken over, with all between that the requester has. */
        checkpoints: z.array(signedWireSchema).min(1).max(MAX_INHERITED_CHECKPOINTS),
      }),
    )
    .max(MAX_INHERITED_ATTEMPTS)
    .optional(),
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
  blobs: z
    .array(z.strictObject({ blob: blobLink, sizeBytes: integerSchema(), included: z.boolean() }))
    .max(MAX_BUNDLE_BLOBS),
  /** Snapshots that are in the file with all of their items, for `job replay`. Absent is none. */
  snapshots: z
    .array(z.strictObject({ lease: leaseLink, step: integerSchema(), snapshot: snapshotReferenceSchema }))
    .max(1024)
    .optional(),
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
