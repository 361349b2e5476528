import { z } from 'zod';
import type { TransactionFailure } from '../interface.ts';
import type { TransactionErrorJson } from './rpc-schemas.ts';

const MAX_DETAIL = 500;
const U32_MAX = 0xffff_ffff;

const instructionErrorSchema = z.object({ InstructionError: z.tuple([z.int().min(0).max(255), z.unknown()]) });
const customSchema = z.object({ Custom: z.int().min(0).max(U32_MAX) });

/** What an endpoint gives as `err`, in one form: `"AccountNotFound"` or `{ InstructionError: [0, { Custom: 1 }] }`. */
export function parseTransactionError(error: TransactionErrorJson): TransactionFailure {
  const detail = JSON.stringify(error).slice(0, MAX_DETAIL);
  if (typeof error === 'string') return { name: error, instruction: null, customCode: null, detail };
  const name = Object.keys(error)[0] ?? 'Unknown';
  const parsed = instructionErrorSchema.safeParse(error);
  if (!parsed.success) return { name, instruction: null, customCode: null, detail };
  const [instruction, reason] = parsed.data.InstructionError;
  const custom = customSchema.safeParse(reason);
  return { name, instruction, customCode: custom.success ? custom.data.Custom : null, detail };
}
