/**
 * The checkpoint chain of an attempt (design section 6, docs/stepping.md section 5):
 *   H_0 = SHA-256("fogproof/checkpoint@1" ‖ 0x00 ‖ job ‖ lease ‖ input root ‖ u64 n_0 ‖ parent H or 32 zero bytes ‖ state root at n_0)
 *   H_n = SHA-256("fogproof/checkpoint@1" ‖ 0x01 ‖ job ‖ lease ‖ u64 n ‖ H_{n-1} ‖ state root ‖ metrics hash ‖ u64 time in ms)
 * `job` and `lease` are the 32-byte SHA-256 digests in their CIDs; integers are big-endian.
 */
import { z } from 'zod';
import {
  blobLink,
  boundedBytesSchema,
  bytesSchema,
  integerSchema,
  jobLink,
  leaseLink,
  peerKeySchema,
  unixMsSchema,
} from './ids.ts';
import type { ObjectType } from './object-type.ts';

export const CHECKPOINT_PREFIX = 'fogproof/checkpoint@1';

/**
 * Links of one chain, its start among them, before no more are made until its end: the same on every replica, since links
 * are made at steps that the job names. As many stand after the start at most, with the one at the end.
 */
export const MAX_CHECKPOINTS = 65_536;

/** Fuel between checkpoints where a job file names nothing else (design section 12): a tenth of a second to a second. */
export const DEFAULT_CHECKPOINT_FUEL = 1_000_000_000;
/**
 * That fuel is for each so many bytes of the job's memory: looking for what has changed takes time by the size of the
 * state, and stays below a tenth of the run time (docs/decisions/0009-checkpoints-and-snapshots.md).
 */
export const DEFAULT_CHECKPOINT_MEMORY_BYTES = 64 * 2 ** 20;

/** u64 step ‖ state root ‖ metrics hash ‖ u64 time in ms. */
export const CHECKPOINT_LINK_BYTES = 80;

/** Names a snapshot: the id and size of its encoded `fogproof/snapshot@1`. */
export const snapshotReferenceSchema = z.strictObject({ blob: blobLink, sizeBytes: integerSchema(1) });
export type SnapshotReference = z.output<typeof snapshotReferenceSchema>;

/**
 * Signed by the provider while the attempt runs. `index` counts the links of this attempt's chain from 0, which is its
 * start; `head` is the H of this link, `previous` that of the one before (32 zero bytes at index 0).
 */
export const checkpointSchema = z.strictObject({
  type: z.literal('fogproof/checkpoint@1'),
  job: jobLink,
  lease: leaseLink,
  provider: peerKeySchema,
  index: integerSchema(0, MAX_CHECKPOINTS),
  /** Steps done (training rounds, where the job reports those). */
  step: integerSchema(),
  previous: bytesSchema(32),
  head: bytesSchema(32),
  stateRoot: bytesSchema(32),
  metricsHash: bytesSchema(32),
  /** Null where the kind of work has none: commands. */
  fuel: integerSchema().nullable(),
  atMs: unixMsSchema,
  /** Where the provider keeps the state itself; null if it made no snapshot here. */
  snapshot: snapshotReferenceSchema.nullable(),
});
export type Checkpoint = z.output<typeof checkpointSchema>;
export const CHECKPOINT: ObjectType<Checkpoint> = {
  type: 'fogproof/checkpoint@1',
  schema: checkpointSchema,
  maxBytes: 2 * 1024,
};

/**
 * The whole chain of one attempt, a blob that its receipt names. What the receipt signs is the Merkle root over
 * H_1..H_N (its `checkpointRoot`; over H_0 alone where there is no other).
 */
export const checkpointChainSchema = z.strictObject({
  type: z.literal('fogproof/checkpoint-chain@1'),
  job: jobLink,
  lease: leaseLink,
  inputRoot: bytesSchema(32),
  start: z.strictObject({ step: integerSchema(), parent: bytesSchema(32).nullable(), stateRoot: bytesSchema(32) }),
  /** Records of CHECKPOINT_LINK_BYTES each, in order. */
  links: boundedBytesSchema(MAX_CHECKPOINTS * CHECKPOINT_LINK_BYTES),
});
export type CheckpointChain = z.output<typeof checkpointChainSchema>;
export const CHECKPOINT_CHAIN: ObjectType<CheckpointChain> = {
  type: 'fogproof/checkpoint-chain@1',
  schema: checkpointChainSchema,
  maxBytes: 6 * 1024 * 1024,
};
