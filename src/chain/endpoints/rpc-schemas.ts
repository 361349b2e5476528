import { z } from 'zod';
import { blockHashSchema, Lamports, solanaAddressSchema, transactionSignatureSchema } from '../../domain/chain.ts';

/** Slots, heights, counts: what JSON carries exactly. */
export const countSchema = z.int().min(0);

/** Above 2^53 - 1 the client library has lost digits already: refused rather than rounded. */
export const lamportsSchema = z
  .int('expected lamports that a JSON number holds exactly')
  .min(0)
  .transform((value) => Lamports(BigInt(value)));

export const contextSchema = z.object({ slot: countSchema });

/** Levels of `{ "InstructionError": [0, { "Custom": 6010 }] }`, and some more: deeper, JSON.stringify would overflow. */
const MAX_ERROR_DEPTH = 16;

/** `"AccountNotFound"` or `{ "InstructionError": [0, { "Custom": 6010 }] }`. */
export const transactionErrorSchema = z
  .union([z.string().max(200), z.record(z.string().max(200), z.unknown())])
  .refine((error) => isAsShallowAs(error, MAX_ERROR_DEPTH), 'expected an error of a transaction, not nested deeply');
export type TransactionErrorJson = z.output<typeof transactionErrorSchema>;

export const signatureStatusesSchema = z.object({
  context: contextSchema,
  value: z.array(
    z
      .object({
        slot: countSchema,
        err: transactionErrorSchema.nullable(),
        confirmationStatus: z.enum(['processed', 'confirmed', 'finalized']).nullish(),
        confirmations: countSchema.nullable(),
      })
      .nullable(),
  ),
});

export const latestBlockHashSchema = z.object({
  context: contextSchema,
  value: z.object({ blockhash: blockHashSchema, lastValidBlockHeight: countSchema }),
});

export const epochInfoSchema = z.object({ absoluteSlot: countSchema, blockHeight: countSchema });

export const balanceSchema = z.object({ context: contextSchema, value: lamportsSchema });

export const simulationSchema = z.object({
  context: contextSchema,
  value: z.object({
    err: transactionErrorSchema.nullable(),
    logs: z.array(z.string()).nullable(),
    unitsConsumed: countSchema.optional(),
  }),
});

export const signaturesSchema = z
  .array(
    z.object({
      signature: transactionSignatureSchema,
      slot: countSchema,
      err: transactionErrorSchema.nullable(),
    }),
  )
  .max(1_000);

export const prioritizationFeesSchema = z
  .array(z.object({ slot: countSchema, prioritizationFee: countSchema }))
  .max(1_000);

export const feeSchema = z.object({ context: contextSchema, value: lamportsSchema.nullable() });

export const blockSchema = z.object({ blockhash: blockHashSchema, blockTime: z.int().min(0).nullable() }).nullable();

export const slotsSchema = z.array(countSchema).max(10_000);

export const accountSchema = z.object({
  context: contextSchema,
  value: z.object({ data: z.instanceof(Uint8Array), owner: solanaAddressSchema, lamports: lamportsSchema }).nullable(),
});

function isAsShallowAs(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isAsShallowAs(inner, depth - 1));
}
