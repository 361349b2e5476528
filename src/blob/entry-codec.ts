import { z } from 'zod';
import { createJsonCodec } from '../storage/codecs.ts';
import type { BlobEntry } from './blob-index.ts';

/** Base64 of a nonce, 32 bytes of key and a tag. */
export const sealedKeySchema = z.base64().max(128).nullable();

/** What is kept of a blob in the namespace `blobs`. Rows of before private blobs have less. */
export const BLOB_ENTRY_CODEC = createJsonCodec<BlobEntry>(
  z.strictObject({
    sizeBytes: z.int().min(0),
    place: z.enum(['database', 'file']),
    lastUseMs: z.number().min(0),
    episodeMs: z.number().min(0).default(0),
    heat: z.number().nullable().default(null),
    sealedKey: sealedKeySchema.default(null),
  }),
);
