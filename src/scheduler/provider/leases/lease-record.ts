import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { type ExecutorKind, executorKindSchema, isolationLevelSchema } from '../../../domain/capability.ts';
import {
  type BlobId,
  boundedBytesSchema,
  integerSchema,
  type JobId,
  type ObjectId,
  type PeerKey,
  type UnixMs,
  unixMsSchema,
} from '../../../domain/ids.ts';
import { MAX_REPLICAS } from '../../../domain/job.ts';
import { signedWireSchema } from '../../../domain/signed.ts';
import { encodeCanonical } from '../../../lib/canonical-cbor.ts';
import type { Codec } from '../../../storage/interface.ts';
import { INLINE_OUTPUT_BYTES } from '../constants.ts';

/** Ids that this node wrote itself: kept as strings, since it alone reads them. */
const ownId = <Id extends string>() => z.custom<Id>((value) => typeof value === 'string');

const leaseRecordSchema = z.strictObject({
  version: z.literal(1),
  /**
   * `accepted`: journalled before it was countersigned. `running`: journalled before the program started.
   * `committed`: salt and result are fixed. `set-signed`: the one set that this provider signs is fixed.
   * `ended`: the receipt is fixed.
   */
  phase: z.enum(['accepted', 'running', 'committed', 'set-signed', 'ended']),
  job: ownId<JobId>(),
  requester: ownId<PeerKey>(),
  commitReveal: z.boolean(),
  acceptedAtMs: unixMsSchema,
  /** Absent in records of versions that ran modules alone. */
  kind: executorKindSchema.default('wasm'),
  isolation: isolationLevelSchema,
  instrumenter: z.string(),
  /** Its keys are in memory only: no other process can go on with it. Absent: it is not confidential. */
  confidential: z.literal(true).optional(),
  endedAtMs: unixMsSchema.nullable(),
  /** Events given so far, the commitment's or the receipt's included. */
  lastSequence: integerSchema(),
  commitment: z
    .strictObject({
      wire: signedWireSchema,
      /** Payload of the receipt as it will be but for the commitment set; holds the salt. */
      draft: boundedBytesSchema(Number.MAX_SAFE_INTEGER),
    })
    .nullable(),
  set: z.strictObject({ id: ownId<ObjectId>(), providers: z.array(ownId<PeerKey>()).max(MAX_REPLICAS) }).nullable(),
  receipt: signedWireSchema.nullable(),
  /** The last that was signed: with it the receipt shows that the lease stood when the run ended. Absent: none was. */
  lastProgress: signedWireSchema.optional(),
  /** Number of the event that told it. Absent: not known. */
  progressEvent: integerSchema().optional(),
  /** How long after its end the result is kept, ms, as the acceptance says. Absent: it does not say. */
  keptForMs: integerSchema().optional(),
  /** Outputs small enough to ride with the receipt. */
  inline: z.array(z.strictObject({ blob: ownId<BlobId>(), bytes: boundedBytesSchema(INLINE_OUTPUT_BYTES) })),
  /** The other outputs, which are in the blob store. */
  stored: z.array(ownId<BlobId>()),
});

/** What the provider must remember of a lease, whatever happens to the process. */
export type LeaseRecord = z.output<typeof leaseRecordSchema>;

/** Encoding skips the schema: values come from this code, thousands a second. Decoding checks what the disk gives. */
export const LEASE_RECORD_CODEC: Codec<LeaseRecord> = {
  encode: (record) => encodeCanonical(record),
  decode: (bytes) => leaseRecordSchema.parse(dagCbor.decode(bytes)),
};

export interface AcceptedLease {
  readonly job: JobId;
  readonly requester: PeerKey;
  readonly commitReveal: boolean;
  readonly acceptedAtMs: UnixMs;
  readonly kind: ExecutorKind;
  readonly isolation: LeaseRecord['isolation'];
  readonly instrumenter: string;
  readonly keptForMs?: number | undefined;
  readonly isConfidential?: boolean;
}

export function createLeaseRecord({ keptForMs, isConfidential = false, ...accepted }: AcceptedLease): LeaseRecord {
  return {
    version: 1,
    phase: 'accepted',
    ...accepted,
    ...(keptForMs === undefined ? {} : { keptForMs }),
    ...(isConfidential ? { confidential: true } : {}),
    endedAtMs: null,
    lastSequence: 0,
    commitment: null,
    set: null,
    receipt: null,
    inline: [],
    stored: [],
  };
}
