import { z } from 'zod';
import { BlockHash, Lamports, SolanaAddress, TransactionSignature } from '../../domain/chain.ts';
import { BlobId, JobId, LeaseId, ObjectId, PeerKey, UnixMs } from '../../domain/ids.ts';
import { JobBatchId } from '../../domain/job-batch.ts';
import { describeError } from '../../lib/errors.ts';

/** Longest path that is taken, characters: PATH_MAX of Linux. */
const MAX_PATH_LENGTH = 4096;

/** A string in JSON, a branded id in memory, checked by the id's own constructor. */
function idSchema<Id extends string>(construct: (text: string) => Id, description: string) {
  const memory = z.custom<Id>((value) => typeof value === 'string');
  return z
    .codec(z.string().max(200).describe(description), memory, {
      decode: (text, context) => {
        try {
          return construct(text);
        } catch (error) {
          context.issues.push({ code: 'custom', message: describeError(error), input: text });
          return z.NEVER;
        }
      },
      encode: (id) => id,
    })
    .describe(description);
}

export const jobIdSchema = idSchema(JobId, 'Job id: CIDv1 (dag-cbor, sha2-256), base32.');
export const jobBatchIdSchema = idSchema(
  JobBatchId,
  'Batch id, chosen by whoever submits: 1 to 64 of a-z, 0-9, dot, dash and underscore.',
);
export const objectIdSchema = idSchema(ObjectId, 'Id of a signed object: CIDv1 (dag-cbor, sha2-256), base32.');
export const leaseIdSchema = idSchema(LeaseId, 'Lease id: CIDv1 (dag-cbor, sha2-256), base32.');
export const blobIdSchema = idSchema(
  BlobId,
  'Blob id: CIDv1 (sha2-256), base32; raw up to 1 MiB, else the root of a UnixFS file (dag-pb).',
);
export const peerKeySchema = idSchema(PeerKey, 'libp2p PeerId of an Ed25519 key, base58btc.');
export const solanaAddressSchema = idSchema(SolanaAddress, 'Solana address, base58.');
export const transactionSignatureSchema = idSchema(TransactionSignature, 'Signature of a transaction, base58.');
export const blockHashSchema = idSchema(BlockHash, 'Hash of a block, base58.');

/** A decimal string in JSON, a bigint in memory. */
export const lamportsSchema = (description: string) =>
  z
    .codec(
      z.string().regex(/^(0|[1-9]\d{0,19})$/, 'expected lamports as a decimal string'),
      z.custom<Lamports>((value) => typeof value === 'bigint'),
      {
        decode: (text, context) => {
          try {
            return Lamports(BigInt(text));
          } catch (error) {
            context.issues.push({ code: 'custom', message: describeError(error), input: text });
            return z.NEVER;
          }
        },
        encode: (lamports) => lamports.toString(),
      },
    )
    .describe(`${description} Lamports (10^-9 SOL) as a decimal string.`);

/** Why something waits or fails, in a status. */
export const problemSchema = z.strictObject({ code: z.string(), message: z.string() });

/** A whole number in JSON. */
export const unixMsSchema = z
  .codec(
    z.int().min(0),
    z.custom<UnixMs>((value) => Number.isSafeInteger(value)),
    {
      decode: (value) => UnixMs(value),
      encode: (value) => value,
    },
  )
  .describe('Unix time in ms.');

/** Base64 in JSON, bytes in memory. */
export const bytesSchema = (minBytes: number, maxBytes: number, description: string) =>
  z
    .codec(
      z.base64().max(4 * Math.ceil(maxBytes / 3)),
      z.custom<Uint8Array>(
        (value) => value instanceof Uint8Array && value.length >= minBytes && value.length <= maxBytes,
        { error: minBytes === maxBytes ? `expected ${minBytes} bytes` : `expected ${minBytes} to ${maxBytes} bytes` },
      ),
      {
        decode: (text) => new Uint8Array(Buffer.from(text, 'base64')),
        encode: (bytes) => Buffer.from(bytes).toString('base64'),
      },
    )
    .describe(`${description} (base64)`);

export const absolutePathSchema = z
  .string()
  .min(1)
  .max(MAX_PATH_LENGTH)
  .startsWith('/', 'expected an absolute path')
  .refine((path) => !path.includes('\0'), 'a path has no NUL')
  .describe('Absolute path on the machine of the daemon.');

export const wholeNumber = (description: string) => z.int().min(0).describe(description);

/** The params of methods that take none. */
export const noParamsSchema = z.strictObject({});

/** Examples. */
export const EXAMPLE_JOB = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
export const EXAMPLE_LEASE = 'bafyreifepiu23okq5zuyvyhsoiazv2icw2van3s7ko6d3ixl5jx2yj2yhu';
export const EXAMPLE_BLOB = 'bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';
export const EXAMPLE_PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5';
export const EXAMPLE_ADDRESS = '7YttLkHDoNj9wyDur5pM1ejNaAvT9X4eqaYcHQqtj2G5';
export const EXAMPLE_SIGNATURE =
  '5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW';
export const EXAMPLE_HASH = '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d';
/** 32 bytes. */
export const EXAMPLE_DIGEST = 'uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=';
