import { z } from 'zod';
import { createJsonCodec } from '../storage/codecs.ts';
import type { BlobEntry } from './blob-index.ts';

/** What is kept of a blob in the namespace `blobs`. */
export const BLOB_ENTRY_CODEC = createJsonCodec<BlobEntry>(
  z.strictObject({
    sizeBytes: z.int().min(0),
    place: z.enum(['database', 'file']),
    lastUseMs: z.number().min(0),
  }),
);
