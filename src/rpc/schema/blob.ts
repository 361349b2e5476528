import { z } from 'zod';
import { MAX_LINE_BYTES, MAX_LIST_LIMIT } from '../constants.ts';
import {
  absolutePathSchema,
  blobIdSchema,
  bytesSchema,
  EXAMPLE_BLOB,
  EXAMPLE_PEER,
  peerKeySchema,
  unixMsSchema,
  wholeNumber,
} from './common.ts';

/** A line of MAX_LINE_BYTES holds three quarters of it as base64, less its frame. */
const MAX_INLINE_BYTES = Math.floor((MAX_LINE_BYTES * 3) / 4) - 1024;

const storedSchema = z.strictObject({
  blob: blobIdSchema,
  sizeBytes: wholeNumber('Bytes.'),
});

const privateSchema = z.literal(true).optional().describe('Encrypted on disk.');
const peersSchema = z.array(peerKeySchema).max(64).optional().describe('Asked first.');
const oneBlob = z.strictObject({ blob: blobIdSchema });

const summarySchema = z.strictObject({
  ...storedSchema.shape,
  bytesHere: wholeNumber('Less than its size while it arrives.'),
  isPrivate: z.boolean().describe('Encrypted on disk.'),
  isPublic: z.boolean().describe('Handed to anybody, and told to the DHT.'),
  isPinned: z.boolean().describe('A job or a transfer needs it now.'),
  lastUseMs: unixMsSchema,
});

/** The empty folder of UnixFS, and the blob that holds its node. */
const EXAMPLE_FOLDER = 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354';
const EXAMPLE_FOLDER_NODE = 'bafkreiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354';

export const BLOB_METHODS = {
  'blob.add': {
    summary: 'Adds a file of this machine to the blobs of the node.',
    description: 'A regular file, by absolute path; it is copied.',
    params: z.strictObject({ path: absolutePathSchema, private: privateSchema }),
    result: storedSchema,
    example: { params: { path: '/home/me/data.csv' }, result: { blob: EXAMPLE_BLOB, sizeBytes: 264_712 } },
  },
  'blob.addBytes': {
    summary: 'Adds bytes to the blobs of the node.',
    description: 'For small inputs; blob.add takes larger ones.',
    params: z.strictObject({ bytes: bytesSchema(0, MAX_INLINE_BYTES, 'The bytes'), private: privateSchema }),
    result: storedSchema,
    example: { params: { bytes: 'aGVsbG8=' }, result: { blob: EXAMPLE_BLOB, sizeBytes: 5 } },
  },
  'blob.list': {
    summary: 'Lists the blobs that are here, last used first.',
    description: 'Also those that are still arriving. With what all of them take, and may take.',
    params: z.strictObject({ limit: z.int().min(1).max(MAX_LIST_LIMIT).describe('Most blobs to answer with.') }),
    result: z.strictObject({
      blobs: z.array(summarySchema),
      usage: z.strictObject({
        blobs: wholeNumber('How many.'),
        bytes: wholeNumber('Bytes that they take.'),
        limitBytes: wholeNumber('Bytes that they may take: blobs.maxBytes.'),
      }),
    }),
    example: {
      params: { limit: 10 },
      result: {
        blobs: [
          {
            blob: EXAMPLE_BLOB,
            sizeBytes: 264_712,
            bytesHere: 264_712,
            isPrivate: false,
            isPublic: true,
            isPinned: false,
            lastUseMs: 1_790_000_000_000,
          },
        ],
        usage: { blobs: 1, bytes: 264_712, limitBytes: 21_474_836_480 },
      },
    },
  },
  'blob.fetch': {
    summary: 'Brings a public blob here from other nodes.',
    description:
      'From the peers that are named and those that the DHT says have it; each leaf is checked when it arrives. What arrived is kept if it breaks off, and the next call goes on from it.',
    params: z.strictObject({
      blob: blobIdSchema,
      peers: peersSchema,
      sizeBytes: wholeNumber(
        'Its size, where that is known: another one is not taken. Else peers are asked.',
      ).optional(),
    }),
    result: z.strictObject({
      ...storedSchema.shape,
      bytesMoved: wholeNumber('Bytes that came over the network.'),
      durationMs: z.number().min(0),
    }),
    example: {
      params: { blob: EXAMPLE_BLOB, peers: [EXAMPLE_PEER] },
      result: { blob: EXAMPLE_BLOB, sizeBytes: 264_712, bytesMoved: 264_712, durationMs: 12.5 },
    },
  },
  'blob.folder': {
    summary: 'Lists what is in a folder, at all depths.',
    description:
      'Lists of folders that are missing are fetched as blob.fetch does, and checked; files are not. A link that may be to a folder or to a large file is to a file if nobody has a list for it.',
    params: z.strictObject({
      folder: blobIdSchema,
      peers: peersSchema,
      local: z.literal(true).optional().describe('Ask nobody: only what is here.'),
    }),
    result: z.strictObject({
      folder: blobIdSchema,
      folders: z.array(
        z.strictObject({
          path: z.string().describe('Names with slashes between them; empty for the folder itself.'),
          blob: blobIdSchema.describe('The blob that holds its list.'),
        }),
      ),
      files: z.array(
        z.strictObject({
          path: z.string().describe('Names with slashes between them.'),
          ...storedSchema.shape,
          isHere: z.boolean().describe('This node has it.'),
        }),
      ),
      sources: z
        .array(peerKeySchema)
        .describe('If files are missing: peers that have its list, to be named to blob.fetch. Empty with local.'),
    }),
    example: {
      params: { folder: EXAMPLE_FOLDER },
      result: {
        folder: EXAMPLE_FOLDER,
        folders: [{ path: '', blob: EXAMPLE_FOLDER_NODE }],
        files: [{ path: 'data.csv', blob: EXAMPLE_BLOB, sizeBytes: 264_712, isHere: false }],
        sources: [EXAMPLE_PEER],
      },
    },
  },
  'blob.write': {
    summary: 'Writes a blob that is here to a file of this machine.',
    description: 'Whole or not at all; a file of that name is not replaced.',
    params: z.strictObject({ blob: blobIdSchema, path: absolutePathSchema }),
    result: storedSchema,
    example: {
      params: { blob: EXAMPLE_BLOB, path: '/home/me/copy.csv' },
      result: { blob: EXAMPLE_BLOB, sizeBytes: 264_712 },
    },
  },
  'blob.share': {
    summary: 'Makes a blob public.',
    description: 'It is handed to anybody who asks, and the DHT is told that this node has it. Not for private blobs.',
    params: oneBlob,
    result: oneBlob,
    example: { params: { blob: EXAMPLE_BLOB }, result: { blob: EXAMPLE_BLOB } },
  },
  'blob.unshare': {
    summary: 'Ends that a blob is public.',
    description: "Others' copies stay, and so do records in the DHT until they expire.",
    params: oneBlob,
    result: z.strictObject({ wasPublic: z.boolean() }),
    example: { params: { blob: EXAMPLE_BLOB }, result: { wasPublic: true } },
  },
  'blob.verify': {
    summary: 'Reads a blob from disk and compares it with its id.',
    description: 'Leaves that are damaged are let go; the sound ones stay, so that only those are fetched again.',
    params: oneBlob,
    result: z.strictObject({
      ...storedSchema.shape,
      leafCount: wholeNumber('Leaves of 1 MiB.'),
      damagedLeaves: z.array(wholeNumber('Index of the leaf.')),
    }),
    example: {
      params: { blob: EXAMPLE_BLOB },
      result: { blob: EXAMPLE_BLOB, sizeBytes: 264_712, leafCount: 1, damagedLeaves: [] },
    },
  },
  'blob.remove': {
    summary: 'Removes a blob from this node.',
    description: 'Not while a job or a transfer needs it. If it was public, it is no longer.',
    params: oneBlob,
    result: z.strictObject({ wasHere: z.boolean() }),
    example: { params: { blob: EXAMPLE_BLOB }, result: { wasHere: true } },
  },
} as const;
