/** What the store keeps, in the form in which it keeps it: dag-cbor, checked when it is read. */
import { z } from 'zod';
import { bytesSchema, decimalSchema, integerSchema, type ObjectId } from '../domain/ids.ts';
import { decodeObject, encodeObject, type ObjectType } from '../domain/object-type.ts';
import {
  OBSERVATION,
  type Observation,
  type ObservationItem,
  observationItemSchema,
  observationSchema,
} from '../domain/observation.ts';
import { createCborCodec } from '../storage/codecs.ts';
import type { Codec } from '../storage/interface.ts';
import { type DecayedSums, DIMENSIONS, type Dimension, type Evidence } from './beta-model.ts';
import type { CountedObservation } from './observation-ledger.ts';

/** Weights and sums are larger than 2^53 may be. */
const wholeSchema = z.string().regex(/^\d{1,60}$/);

const countedSchema = observationSchema
  .omit({ type: true, network: true, payment: true, stake: true, anchor: true })
  .extend({ type: z.literal('fogproof/counted-observation@1'), weight: decimalSchema });
/** What the sums are made from; the observation itself is among the signed forms. */
const COUNTED: ObjectType<z.output<typeof countedSchema>> = {
  type: 'fogproof/counted-observation@1',
  schema: countedSchema,
  maxBytes: OBSERVATION.maxBytes,
};

export function encodeCounted(observation: CountedObservation): Uint8Array {
  const { id: _, weight, ...seen } = observation;
  return encodeObject(COUNTED, { type: COUNTED.type, ...seen, weight: weight.toString() });
}

/** @throws CborError, DomainError */
export function decodeCounted(bytes: Uint8Array, id: ObjectId): CountedObservation {
  const { type: _, weight, ...seen } = decodeObject(COUNTED, bytes);
  return { id, ...seen, weight: BigInt(weight) };
}

export function describeCounted(id: ObjectId, value: Observation, weight: bigint): CountedObservation {
  const { observer, subject, role, job, lease, receipt, outcome, rating, observedAtMs, epoch } = value;
  return { id, observer, subject, role, job, lease, receipt, outcome, rating, observedAtMs, epoch, weight };
}

export const ITEM_CODEC: Codec<ObservationItem> = createCborCodec<ObservationItem>(
  observationItemSchema as unknown as z.ZodType<ObservationItem>,
);

const evidenceSchema = z.tuple([wholeSchema, wholeSchema]);
const standingCodec = createCborCodec(
  z.strictObject({
    epoch: integerSchema(),
    sums: z.strictObject({
      completion: evidenceSchema,
      timeliness: evidenceSchema,
      ratings: evidenceSchema,
      correctness: evidenceSchema,
      availability: evidenceSchema,
    }),
  }),
);

export const STANDING_CODEC: Codec<DecayedSums> = {
  encode: ({ epoch, sums }) => {
    const write = ({ success, failure }: Evidence): [string, string] => [success.toString(), failure.toString()];
    const pairs = DIMENSIONS.map((name) => [name, write(sums[name])]);
    // One entry for each dimension, as the schema wants it.
    return standingCodec.encode({ epoch, sums: Object.fromEntries(pairs) as Record<Dimension, [string, string]> });
  },
  decode: (bytes) => {
    const { epoch, sums } = standingCodec.decode(bytes);
    const read = ([success, failure]: [string, string]): Evidence => ({
      success: BigInt(success),
      failure: BigInt(failure),
    });
    return {
      epoch,
      sums: {
        completion: read(sums.completion),
        timeliness: read(sums.timeliness),
        ratings: read(sums.ratings),
        correctness: read(sums.correctness),
        availability: read(sums.availability),
      },
    };
  },
};

const snapshotSchema = z.strictObject({ hash: bytesSchema(32), observations: integerSchema() });
export type EpochSnapshot = z.output<typeof snapshotSchema>;
export const SNAPSHOT_CODEC: Codec<EpochSnapshot> = createCborCodec(snapshotSchema);

/** A key alone says all. */
export const NOTHING_CODEC: Codec<null> = { encode: () => new Uint8Array(0), decode: () => null };
