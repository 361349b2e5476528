import type { Message, MessageV0, VersionedTransactionResponse } from '@solana/web3.js';
import { z } from 'zod';
import { decodeBase58, SolanaAddress, TransactionSignature } from '../../domain/chain.ts';
import { UnixMs } from '../../domain/ids.ts';
import type { ChainInstruction, ChainTransaction } from '../interface.ts';
import { countSchema, lamportsSchema, transactionErrorSchema } from './rpc-schemas.ts';
import { parseTransactionError } from './transaction-error.ts';
import { isSignatureValid } from './verify-signature.ts';

/** Makes the error of an endpoint that answered with something else. */
export type Refuse = (reason: string) => Error;

const metaSchema = z.object({
  err: transactionErrorSchema.nullable(),
  fee: lamportsSchema,
  logMessages: z.array(z.string()).nullish(),
  computeUnitsConsumed: countSchema.optional(),
});

/**
 * A transaction as `getTransaction` gives it. Its signatures are over the message, so it is what was signed, to the
 * byte; that it landed, where and with what result is the endpoint's word. Addresses from lookup tables are, too.
 */
export function decodeTransactionResponse(
  signature: TransactionSignature,
  response: VersionedTransactionResponse,
  refuse: Refuse,
): ChainTransaction {
  const { transaction, slot, blockTime } = response;
  const { message } = transaction;
  if (message.version === 1) throw refuse('a transaction of version 1, where at most 0 was asked for');
  assertSigned(signature, { signatures: transaction.signatures, message }, refuse);
  const meta = metaSchema.safeParse(response.meta);
  const place = z
    .object({ slot: countSchema, blockTime: countSchema.nullable() })
    .safeParse({ slot, blockTime: blockTime ?? null });
  if (!meta.success || !place.success) throw refuse('a transaction without its result');
  const { err, fee, logMessages, computeUnitsConsumed } = meta.data;
  return {
    signature,
    slot: place.data.slot,
    blockTimeMs: place.data.blockTime === null ? null : UnixMs(place.data.blockTime * 1_000),
    failure: err === null ? null : parseTransactionError(err),
    instructions: decodeInstructions(message, response, refuse),
    logs: logMessages ?? [],
    feeLamports: fee,
    computeUnits: computeUnitsConsumed ?? null,
  };
}

function assertSigned(
  signature: TransactionSignature,
  transaction: { readonly signatures: readonly string[]; readonly message: Message | MessageV0 },
  refuse: Refuse,
): void {
  const { message, signatures } = transaction;
  const bytes = message.serialize();
  const required = message.header.numRequiredSignatures;
  if (signatures[0] !== signature) throw refuse('another transaction');
  if (signatures.length !== required) throw refuse(`${signatures.length} signatures of ${required}`);
  for (const [index, text] of signatures.entries()) {
    const key = message.staticAccountKeys[index]?.toBytes();
    const isValid = key !== undefined && isSignatureValid(decodeBase58(TransactionSignature(text)), bytes, key);
    if (!isValid) throw refuse('a signature that is not over this transaction');
  }
}

function decodeInstructions(
  message: Message | MessageV0,
  { meta }: VersionedTransactionResponse,
  refuse: Refuse,
): readonly ChainInstruction[] {
  const loaded = meta?.loadedAddresses ?? { writable: [], readonly: [] };
  if (message.version === 0) {
    const { addressTableLookups: lookups } = message;
    const writable = lookups.reduce((sum, lookup) => sum + lookup.writableIndexes.length, 0);
    const readonly = lookups.reduce((sum, lookup) => sum + lookup.readonlyIndexes.length, 0);
    if (loaded.writable.length !== writable || loaded.readonly.length !== readonly) {
      throw refuse('addresses of its lookup tables are missing');
    }
  }
  const keys = message.getAccountKeys({ accountKeysFromLookups: loaded });
  const account = (index: number) => {
    const key = keys.get(index);
    if (key === undefined) throw refuse(`account ${index} of ${keys.length}`);
    return {
      address: SolanaAddress(key.toBase58()),
      isSigner: message.isAccountSigner(index),
      isWritable: message.isAccountWritable(index),
    };
  };
  return message.compiledInstructions.map((instruction) => ({
    program: account(instruction.programIdIndex).address,
    accounts: instruction.accountKeyIndexes.map(account),
    data: new Uint8Array(instruction.data),
  }));
}
