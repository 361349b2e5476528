import { z } from 'zod';
import { boundedBytesSchema, integerSchema } from '../domain/ids.ts';
import { createCborCodec } from '../storage/codecs.ts';
import { sealedKeySchema } from './entry-codec.ts';

/** What is kept of a blob that has arrived in part, in the namespace `blob-receptions`. */
export interface ReceptionRecord {
  readonly sizeBytes: number;
  /** The key with which its leaves are encrypted on disk, wrapped; null if they are not. */
  readonly sealedKey: string | null;
  readonly lastUseMs: number;
  /** Leaves of which the bytes are on disk for good: a bit each, the first in the lowest bit. */
  readonly leaves: Uint8Array;
}

/** A bit for each leaf of a blob of 2^50 bytes. */
const MAX_LEAF_BYTES = 2 ** 27;

export const RECEPTION_CODEC = createCborCodec<ReceptionRecord>(
  z.strictObject({
    sizeBytes: integerSchema(),
    sealedKey: sealedKeySchema,
    lastUseMs: integerSchema(),
    leaves: boundedBytesSchema(MAX_LEAF_BYTES),
  }),
);
