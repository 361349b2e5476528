import { z } from 'zod';
import { bytesSchema, jobLink, leaseLink, objectLink, peerKeySchema, unixMsSchema } from './ids.ts';
import { MAX_REPLICAS } from './job.ts';
import type { ObjectType } from './object-type.ts';

/** Prefix of a commitment: digest = SHA-256(prefix ‖ lease CID bytes ‖ output root CID bytes ‖ 32-byte salt). */
export const COMMITMENT_PREFIX = 'fogproof/commit@1';

/** Signed by the provider before any result is revealed. */
export const commitmentSchema = z.strictObject({
  type: z.literal('fogproof/commitment@1'),
  job: jobLink,
  lease: leaseLink,
  provider: peerKeySchema,
  digest: bytesSchema(32),
  committedAtMs: unixMsSchema,
});
export type Commitment = z.output<typeof commitmentSchema>;
export const COMMITMENT: ObjectType<Commitment> = {
  type: 'fogproof/commitment@1',
  schema: commitmentSchema,
  maxBytes: 1024,
};

/**
 * Signed by every provider in it, and only then does any of them reveal. `commitments` holds the ids of the
 * commitments' payloads in ascending order of their strings.
 */
export const commitmentSetSchema = z.strictObject({
  type: z.literal('fogproof/commitment-set@1'),
  job: jobLink,
  commitments: z.array(objectLink).min(1).max(MAX_REPLICAS),
});
export type CommitmentSet = z.output<typeof commitmentSetSchema>;
export const COMMITMENT_SET: ObjectType<CommitmentSet> = {
  type: 'fogproof/commitment-set@1',
  schema: commitmentSetSchema,
  maxBytes: 4 * 1024,
};
