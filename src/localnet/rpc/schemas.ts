import { base58btc } from 'multiformats/bases/base58';
import { z } from 'zod';
import { blockHashSchema, solanaAddressSchema, transactionSignatureSchema } from '../../domain/chain.ts';
import { MAX_MEMCMP_BYTES, MAX_PROGRAM_FILTERS } from '../constants.ts';
import type { Commitment } from '../ledger/interface.ts';

/** Names of before 2021 are still sent. */
const COMMITMENTS = {
  processed: 'processed',
  recent: 'processed',
  confirmed: 'confirmed',
  single: 'confirmed',
  singleGossip: 'confirmed',
  finalized: 'finalized',
  root: 'finalized',
  max: 'finalized',
} as const satisfies Record<string, Commitment>;

/** Null stands for absent, as in Rust's `Option`. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

export const addressSchema = solanaAddressSchema;
export const hashSchema = blockHashSchema;
export const signatureSchema = transactionSignatureSchema;
export const slotSchema = z.int().nonnegative();
export const u64Schema = z.int().nonnegative();

export const commitmentSchema = z
  .literal(Object.keys(COMMITMENTS) as (keyof typeof COMMITMENTS)[])
  .transform((name): Commitment => COMMITMENTS[name]);

export const contextFields = {
  commitment: optional(commitmentSchema),
  minContextSlot: optional(slotSchema),
};

export const contextSchema = z.object(contextFields);
export type ContextConfig = z.output<typeof contextSchema>;

/** Some methods took the commitment alone once. */
export const commitmentConfigSchema = z.union([
  contextSchema,
  commitmentSchema.transform((commitment): ContextConfig => ({ commitment, minContextSlot: undefined })),
]);

export const accountEncodingSchema = z.literal(['binary', 'base58', 'base64', 'base64+zstd', 'jsonParsed']);
export type AccountEncoding = z.output<typeof accountEncodingSchema>;

export const dataSliceSchema = z.object({ offset: u64Schema, length: u64Schema });

export const accountFields = {
  ...contextFields,
  encoding: optional(accountEncodingSchema),
  dataSlice: optional(dataSliceSchema),
};
export const accountConfigSchema = z.object(accountFields);
export type AccountConfig = z.output<typeof accountConfigSchema>;

export const transactionEncodingSchema = z.literal(['binary', 'base58', 'base64', 'json', 'jsonParsed']);
export type TransactionEncoding = z.output<typeof transactionEncodingSchema>;

const memcmpSchema = z
  .object({
    offset: u64Schema,
    bytes: z.union([z.string().max(4 * MAX_MEMCMP_BYTES), z.array(z.int().min(0).max(255))]),
    encoding: optional(z.literal(['base58', 'base64'])),
  })
  .transform(({ offset, bytes, encoding }, refinement) => {
    const decoded = decodeFilterBytes(bytes, encoding ?? 'base58');
    if (decoded === undefined || decoded.length > MAX_MEMCMP_BYTES) {
      refinement.addIssue(`expected at most ${MAX_MEMCMP_BYTES} bytes in ${encoding ?? 'base58'}`);
      return z.NEVER;
    }
    return { offset, bytes: decoded };
  });

function decodeFilterBytes(bytes: string | readonly number[], encoding: 'base58' | 'base64'): Uint8Array | undefined {
  if (typeof bytes !== 'string') return Uint8Array.from(bytes);
  try {
    return encoding === 'base58' ? base58btc.baseDecode(bytes) : new Uint8Array(Buffer.from(bytes, 'base64'));
  } catch {
    return undefined;
  }
}

export const filtersSchema = z
  .array(
    z.union([
      z.object({ memcmp: memcmpSchema }),
      z.object({ dataSize: u64Schema }),
      z.literal('tokenAccountState').transform(() => ({ tokenAccountState: true as const })),
      z.object({ tokenAccountState: z.unknown() }).transform(() => ({ tokenAccountState: true as const })),
    ]),
  )
  .max(MAX_PROGRAM_FILTERS, `Too many filters provided; max ${MAX_PROGRAM_FILTERS}`);
export type AccountFilter = z.output<typeof filtersSchema>[number];

export const programFields = { ...accountFields, filters: optional(filtersSchema) };
