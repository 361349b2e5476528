import { z } from 'zod';
import { bytesSchema, integerSchema, peerKeySchema } from '../../../domain/ids.ts';
import { createCborCodec } from '../../../storage/codecs.ts';
import type { Codec } from '../../../storage/interface.ts';

/** Most groups of a peer that are kept: one for each address of a record, and where it was met. */
const MAX_GROUPS = 64;

const slotFields = {
  peer: peerKeySchema,
  epoch: integerSchema(),
  proof: bytesSchema(80),
  rank: bytesSchema(32),
  sinceMs: integerSchema(),
  why: z.enum(['ranked', 'healing', 'genesis']),
};

const storedSlotSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('outbound'),
    slot: z.strictObject({ ...slotFields, endsAtEpoch: integerSchema() }),
  }),
  z.strictObject({
    kind: z.literal('inbound'),
    slot: z.strictObject({
      ...slotFields,
      vrfPublicKey: bytesSchema(32),
      groups: z
        .array(z.strictObject({ kind: z.enum(['address', 'asn', 'operator']), key: z.string().max(80) }))
        .max(MAX_GROUPS),
    }),
  }),
  z.strictObject({ kind: z.literal('size'), epoch: integerSchema(), size: integerSchema(1) }),
  /** The epoch since which the table of candidates has watched. */
  z.strictObject({ kind: z.literal('began'), epoch: integerSchema() }),
]);
export type StoredSlot = z.output<typeof storedSlotSchema>;
export const STORED_SLOT_CODEC: Codec<StoredSlot> = createCborCodec(storedSlotSchema);

const storedCandidateSchema = z.strictObject({
  vrfPublicKey: bytesSchema(32),
  firstSeenEpoch: integerSchema(),
  lastValidEpoch: integerSchema(),
  isConfirmed: z.boolean(),
});
export const STORED_CANDIDATE_CODEC: Codec<z.output<typeof storedCandidateSchema>> =
  createCborCodec(storedCandidateSchema);
