import { z } from 'zod';
import {
  blockHashSchema,
  encodeBase58,
  Lamports,
  type SolanaAddress,
  solanaAddressSchema,
  TransactionSignature,
  transactionSignatureSchema,
} from '../../domain/chain.ts';
import { UnixMs } from '../../domain/ids.ts';
import { MAX_INSTRUCTIONS, MAX_KEPT_ATTEMPTS, MAX_KEY_LENGTH, MAX_TRANSACTION_BYTES } from '../constants.ts';
import type { TransactionIntent, TransactionRecord } from '../interface.ts';

const countSchema = z.int().min(0);
const timeSchema = z.int().min(0);
const lamportsTextSchema = z.string().regex(/^\d{1,20}$/);
const dataSchema = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes')
  .refine((bytes) => bytes.length <= MAX_TRANSACTION_BYTES);

const instructionSchema = z.strictObject({
  program: solanaAddressSchema,
  accounts: z
    .array(z.strictObject({ address: solanaAddressSchema, isSigner: z.boolean(), isWritable: z.boolean() }))
    .max(64),
  data: dataSchema,
});

const attemptSchema = z.strictObject({
  signature: transactionSignatureSchema,
  blockHash: blockHashSchema,
  /** At least the true one: `heightVotes` endpoints gave theirs, and the highest was taken. */
  lastValidBlockHeight: countSchema,
  heightVotes: countSchema,
  /** A slot before it was sent: history from there on tells whether it landed. */
  signedSlot: countSchema,
  signedAtMs: timeSchema,
  outcome: z.enum(['pending', 'landed', 'expired']),
});
export type StoredAttempt = z.output<typeof attemptSchema>;

const failureSchema = z.strictObject({
  name: z.string().max(200),
  instruction: countSchema.nullable(),
  customCode: countSchema.nullable(),
  detail: z.string().max(1_000),
});

export const storedTransactionSchema = z.strictObject({
  key: z.string().min(1).max(MAX_KEY_LENGTH),
  purpose: z.string().max(MAX_KEY_LENGTH),
  state: z.enum(['intended', 'sent', 'confirmed', 'finalized', 'failed', 'refused']),
  signer: solanaAddressSchema,
  instructions: z.array(instructionSchema).min(1).max(MAX_INSTRUCTIONS),
  computeUnitLimit: countSchema,
  /** Oldest first; only the last one can be pending. */
  attempts: z.array(attemptSchema).max(MAX_KEPT_ATTEMPTS),
  /** How many there were, also those that are no longer kept. */
  attemptCount: countSchema,
  /** Signed bytes of the pending attempt. */
  wire: dataSchema.nullable(),
  signature: transactionSignatureSchema.nullable(),
  slot: countSchema.nullable(),
  feeLamports: lamportsTextSchema.nullable(),
  computeUnits: countSchema.nullable(),
  failure: failureSchema.nullable(),
  problem: z.strictObject({ code: z.string().max(64), message: z.string().max(4_000) }).nullable(),
  createdAtMs: timeSchema,
  endedAtMs: timeSchema.nullable(),
});
export type StoredTransaction = z.output<typeof storedTransactionSchema>;

export function createStoredTransaction(
  intent: TransactionIntent,
  { signer, nowMs }: { readonly signer: SolanaAddress; readonly nowMs: number },
): StoredTransaction {
  return {
    key: intent.key,
    purpose: intent.purpose.slice(0, MAX_KEY_LENGTH),
    state: 'intended',
    signer,
    instructions: intent.instructions.map(({ program, accounts, data }) => ({
      program,
      accounts: accounts.map(({ address, isSigner, isWritable }) => ({ address, isSigner, isWritable })),
      data: data.slice(),
    })),
    computeUnitLimit: intent.computeUnitLimit,
    attempts: [],
    attemptCount: 0,
    wire: null,
    signature: null,
    slot: null,
    feeLamports: null,
    computeUnits: null,
    failure: null,
    problem: null,
    createdAtMs: nowMs,
    endedAtMs: null,
  };
}

/** What others see of it. */
export function toTransactionRecord(stored: StoredTransaction): TransactionRecord {
  return {
    key: stored.key,
    purpose: stored.purpose,
    state: stored.state,
    attempts: stored.attempts.map(({ signature, blockHash, lastValidBlockHeight, signedAtMs, outcome }) => ({
      signature,
      blockHash,
      lastValidBlockHeight,
      signedAtMs: UnixMs(signedAtMs),
      outcome,
    })),
    signature: stored.signature,
    slot: stored.slot,
    feeLamports: stored.feeLamports === null ? null : Lamports(BigInt(stored.feeLamports)),
    computeUnits: stored.computeUnits,
    failure: stored.failure,
    problem: stored.problem,
    createdAtMs: UnixMs(stored.createdAtMs),
  };
}

export function isTerminal({ state }: Pick<StoredTransaction, 'state'>): boolean {
  return state === 'finalized' || state === 'failed' || state === 'refused';
}

/** The attempt that may land, with its bytes. */
export function findPending(
  stored: StoredTransaction,
): { readonly attempt: StoredAttempt; readonly wire: Uint8Array } | undefined {
  const attempt = stored.attempts.at(-1);
  if (attempt === undefined || attempt.outcome !== 'pending' || stored.wire === null) return undefined;
  return { attempt, wire: stored.wire };
}

/** Signature of signed bytes: they begin with its count (1) and it. */
export function readSignature(wire: Uint8Array): TransactionSignature {
  return TransactionSignature(encodeBase58(wire.subarray(1, 65)));
}

/** With a new attempt, its bytes, and no more attempts than are kept. */
export function withAttempt(stored: StoredTransaction, attempt: StoredAttempt, wire: Uint8Array): StoredTransaction {
  return {
    ...stored,
    state: 'sent',
    attempts: [...stored.attempts, attempt].slice(-MAX_KEPT_ATTEMPTS),
    attemptCount: stored.attemptCount + 1,
    wire,
    problem: null,
  };
}

/** With the last attempt changed. */
export function withLastAttempt(stored: StoredTransaction, change: Partial<StoredAttempt>): StoredTransaction {
  const last = stored.attempts.at(-1);
  if (last === undefined) return stored;
  return { ...stored, attempts: [...stored.attempts.slice(0, -1), { ...last, ...change }] };
}
