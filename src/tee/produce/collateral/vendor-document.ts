import { z } from 'zod';
import { boundedBytesSchema, unixMsSchema } from '../../../domain/ids.ts';
import type { ObjectType } from '../../../domain/object-type.ts';
import { MAX_DOCUMENT_BYTES } from '../constants.ts';

const MAX_CHAIN_LENGTH = 64 * 1024;

/** As a vendor's service gave it. */
export interface VendorDocument {
  readonly body: Uint8Array;
  /** PEM of who signed it, from a header; null if it brings its own or needs none. */
  readonly issuerChain: string | null;
}

const keptDocumentSchema = z.strictObject({
  type: z.literal('fogproof/vendor-document@1'),
  url: z.string().max(2_048),
  fetchedAtMs: unixMsSchema,
  body: boundedBytesSchema(MAX_DOCUMENT_BYTES),
  issuerChain: z.string().max(MAX_CHAIN_LENGTH).nullable(),
});
export type KeptDocument = z.output<typeof keptDocumentSchema>;

/** A file of the cache. What it says counts for nothing until it is verified anew. */
export const KEPT_DOCUMENT: ObjectType<KeptDocument> = {
  type: 'fogproof/vendor-document@1',
  schema: keptDocumentSchema,
  maxBytes: MAX_DOCUMENT_BYTES + MAX_CHAIN_LENGTH + 4_096,
};
