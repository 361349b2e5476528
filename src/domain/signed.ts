import { z } from 'zod';
import { boundedBytesSchema, bytesSchema, integerSchema, type ObjectId, type PeerKey } from './ids.ts';
import type { ObjectType } from './object-type.ts';

/** Largest signed object on the wire: a receipt with its envelope. */
export const MAX_SIGNED_BYTES = 600 * 1024;
/** Most objects under one batch signature; a path of 16 hashes. */
export const MAX_BATCH_SIZE = 65_536;

/**
 * Most signatures in one list of signed objects. Whoever signs many at once signs one batch, so honest lists need one or
 * two; a frame full of them would hold the event loop for most of a second (0.26 ms each).
 */
export const MAX_LISTED_SIGNATURES = 16;

/**
 * A signed object on the wire: a libp2p signed envelope (RFC 0002) that holds it, or the object beside its RFC 6962
 * inclusion path in a batch whose root an envelope signs. Either is accepted wherever a signature is.
 */
export const signedWireSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('envelope'), envelope: boundedBytesSchema(MAX_SIGNED_BYTES) }),
  z.strictObject({
    kind: z.literal('batch'),
    payload: boundedBytesSchema(MAX_SIGNED_BYTES),
    index: integerSchema(0, MAX_BATCH_SIZE - 1),
    path: z.array(bytesSchema(32)).max(16),
    /** Envelope of a `fogproof/batch@1`. */
    root: boundedBytesSchema(4096),
  }),
]);
export type SignedWire = z.output<typeof signedWireSchema>;

/** Many objects of one signer, as they travel: each alone, or all leaves of one signed batch in order. */
export const signedManyWireSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('each'), items: z.array(signedWireSchema).max(4096) }),
  z.strictObject({
    kind: z.literal('batch'),
    root: boundedBytesSchema(4096),
    payloads: z.array(boundedBytesSchema(MAX_SIGNED_BYTES)).min(1).max(4096),
  }),
]);
export type SignedManyWire = z.output<typeof signedManyWireSchema>;

export const batchSchema = z.strictObject({
  type: z.literal('fogproof/batch@1'),
  /** `type` of every object under the root. */
  itemType: z.string().min(1).max(64),
  /** RFC 6962 root over the payloads' bytes. */
  root: bytesSchema(32),
  size: integerSchema(1, MAX_BATCH_SIZE),
});
export type Batch = z.output<typeof batchSchema>;
export const BATCH: ObjectType<Batch> = { type: 'fogproof/batch@1', schema: batchSchema, maxBytes: 1024 };

/** A signed object whose signature was made here or has been verified. */
export interface Signed<Value> {
  readonly value: Value;
  readonly signer: PeerKey;
  /** Canonical dag-cbor of `value`. */
  readonly payload: Uint8Array;
  /** CIDv1 of `payload`. */
  readonly id: ObjectId;
  readonly wire: SignedWire;
}
