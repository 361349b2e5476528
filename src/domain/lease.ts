import { z } from 'zod';
import { snapshotReferenceSchema } from './checkpoint.ts';
import {
  bytesSchema,
  decimalSchema,
  integerSchema,
  jobLink,
  leaseLink,
  offerLink,
  peerKeySchema,
  unixMsSchema,
} from './ids.ts';
import type { ObjectType } from './object-type.ts';

/** Highest number of an attempt: each pause ends one. */
export const MAX_ATTEMPT_NUMBER = 4095;

/** A checkpoint of an earlier attempt of the same replica, with the one who holds its snapshot. */
export const resumePointSchema = z.strictObject({
  lease: leaseLink,
  step: integerSchema(),
  /** H of that checkpoint: the parent of the new chain. */
  head: bytesSchema(32),
  stateRoot: bytesSchema(32),
  snapshot: snapshotReferenceSchema,
  holder: peerKeySchema,
});
export type ResumePoint = z.output<typeof resumePointSchema>;

/** Signed by the requester: the right and the duty to run one attempt. */
export const leaseSchema = z.strictObject({
  type: z.literal('fogproof/lease@1'),
  network: z.string().min(1).max(64),
  job: jobLink,
  offer: offerLink,
  requester: peerKeySchema,
  provider: peerKeySchema,
  nonce: bytesSchema(16),
  /** Which of the job's replicas this attempt is for, from 0. */
  replica: integerSchema(0, 15),
  /** How often this replica was tried before. */
  attempt: integerSchema(0, MAX_ATTEMPT_NUMBER),
  price: decimalSchema,
  issuedAtMs: unixMsSchema,
  /** The lease ends this long after it began or after the last signed progress. */
  durationMs: integerSchema(100),
  /** The provider signs progress at least this often. */
  renewalMs: integerSchema(50),
  deadlineMs: unixMsSchema,
  commitReveal: z.boolean(),
  /** Who is given each snapshot; absent where the job makes no checkpoints. */
  snapshotHolder: peerKeySchema.optional(),
  /** As the job says, which a holder does not see; absent: they are not sealed, so the holder can check them. */
  snapshotsSealed: z.literal(true).optional(),
  /** Where this attempt goes on from: a checkpoint of its own predecessor, never of another replica. */
  resume: resumePointSchema.optional(),
});
export type Lease = z.output<typeof leaseSchema>;
export const LEASE: ObjectType<Lease> = { type: 'fogproof/lease@1', schema: leaseSchema, maxBytes: 4 * 1024 };

/** Signed by the provider: the countersignature that makes a lease binding. */
export const leaseAcceptanceSchema = z.strictObject({
  type: z.literal('fogproof/lease-acceptance@1'),
  lease: leaseLink,
  provider: peerKeySchema,
  acceptedAtMs: unixMsSchema,
  /** The provider keeps result and receipt this long after the end for a requester that was away, ms. Absent: it does not say. */
  resultsKeptForMs: integerSchema().optional(),
});
export type LeaseAcceptance = z.output<typeof leaseAcceptanceSchema>;
export const LEASE_ACCEPTANCE: ObjectType<LeaseAcceptance> = {
  type: 'fogproof/lease-acceptance@1',
  schema: leaseAcceptanceSchema,
  maxBytes: 1024,
};

/** Signed by the provider while it runs: renews the lease. */
export const progressSchema = z.strictObject({
  type: z.literal('fogproof/progress@1'),
  lease: leaseLink,
  sequence: integerSchema(1),
  /** Null where the kind of work has none. */
  fuel: integerSchema().nullable(),
  step: integerSchema(),
  cpuTimeMs: integerSchema(),
  atMs: unixMsSchema,
});
export type Progress = z.output<typeof progressSchema>;
export const PROGRESS: ObjectType<Progress> = { type: 'fogproof/progress@1', schema: progressSchema, maxBytes: 1024 };
