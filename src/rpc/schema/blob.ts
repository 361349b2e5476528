import { z } from 'zod';
import { MAX_LINE_BYTES } from '../constants.ts';
import { absolutePathSchema, blobIdSchema, bytesSchema, EXAMPLE_BLOB, wholeNumber } from './common.ts';

/** A line of MAX_LINE_BYTES holds three quarters of it as base64, less its frame. */
const MAX_INLINE_BYTES = Math.floor((MAX_LINE_BYTES * 3) / 4) - 1024;

const storedSchema = z.strictObject({
  blob: blobIdSchema,
  sizeBytes: wholeNumber('Bytes.'),
});

export const BLOB_METHODS = {
  'blob.add': {
    summary: 'Adds a file of this machine to the blobs of the node.',
    description: 'A regular file, by absolute path; it is copied.',
    params: z.strictObject({ path: absolutePathSchema }),
    result: storedSchema,
    example: { params: { path: '/home/me/data.csv' }, result: { blob: EXAMPLE_BLOB, sizeBytes: 264_712 } },
  },
  'blob.addBytes': {
    summary: 'Adds bytes to the blobs of the node.',
    description: 'For small inputs; blob.add takes larger ones.',
    params: z.strictObject({ bytes: bytesSchema(0, MAX_INLINE_BYTES, 'The bytes') }),
    result: storedSchema,
    example: { params: { bytes: 'aGVsbG8=' }, result: { blob: EXAMPLE_BLOB, sizeBytes: 5 } },
  },
} as const;
