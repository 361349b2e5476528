import { z } from 'zod';
import { encodeBase58 } from '../../domain/chain.ts';
import type { BlockHeader, TransactionRecord } from '../ledger/interface.ts';
import { encodeAccountKeys, encodeMeta, encodeTransaction, keysOf } from './encode-transaction.ts';
import { commitmentSchema, optional, transactionEncodingSchema } from './schemas.ts';

export const blockFieldsSchema = z.object({
  encoding: optional(transactionEncodingSchema),
  transactionDetails: optional(z.literal(['full', 'accounts', 'signatures', 'none'])),
  rewards: optional(z.boolean()),
  commitment: optional(commitmentSchema),
  maxSupportedTransactionVersion: optional(z.int().min(0).max(255)),
});
export type BlockConfig = z.output<typeof blockFieldsSchema>;

export const blockConfigSchema = z.union([
  transactionEncodingSchema.transform(
    (encoding): BlockConfig => ({
      encoding,
      transactionDetails: undefined,
      rewards: undefined,
      commitment: undefined,
      maxSupportedTransactionVersion: undefined,
    }),
  ),
  blockFieldsSchema,
]);

export function encodeBlock(
  header: BlockHeader,
  records: readonly TransactionRecord[],
  config: BlockConfig | undefined,
): object {
  return {
    blockhash: header.blockhash,
    previousBlockhash: header.previousBlockhash,
    parentSlot: Math.max(0, header.slot - 1),
    blockHeight: header.slot,
    blockTime: header.blockTime,
    ...(config?.rewards === false ? {} : { rewards: [] }),
    ...encodeTransactions(records, config),
  };
}

function encodeTransactions(records: readonly TransactionRecord[], config: BlockConfig | undefined): object {
  const details = config?.transactionDetails ?? 'full';
  const view = { encoding: config?.encoding, maxSupportedTransactionVersion: config?.maxSupportedTransactionVersion };
  switch (details) {
    case 'none':
      return {};
    case 'signatures':
      return { signatures: records.map(({ wire }) => wire.signature) };
    case 'full':
      return { transactions: records.map((record) => encodeTransaction(record, view)) };
    case 'accounts':
      return {
        transactions: records.map((record) => ({ ...encodeTransaction(record, view), ...encodeAccountsOnly(record) })),
      };
    default:
      return details satisfies never;
  }
}

function encodeAccountsOnly(record: TransactionRecord): object {
  const { wire, meta } = record;
  const transaction = {
    signatures: wire.signatures.map(encodeBase58),
    accountKeys: encodeAccountKeys(wire.message, meta),
  };
  const { err, status, fee, preBalances, postBalances, preTokenBalances, postTokenBalances } = encodeMeta(meta, {
    keys: keysOf(record),
    isParsed: true,
  });
  return { transaction, meta: { err, status, fee, preBalances, postBalances, preTokenBalances, postTokenBalances } };
}
