import { z } from 'zod';
import { MAX_BLOCKS_RANGE, MAX_SIGNATURES_FOR_ADDRESS } from '../../constants.ts';
import type { Mention } from '../../ledger/history.ts';
import type { BlockHeader, TransactionRecord } from '../../ledger/interface.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { historySlotFor } from '../commitments.ts';
import { defineMethod } from '../define-method.ts';
import { type BlockConfig, blockConfigSchema, encodeBlock } from '../encode-block.ts';
import { encodeTransaction } from '../encode-transaction.ts';
import { RpcFault } from '../faults.ts';
import type { RpcMethod } from '../interface.ts';
import {
  addressSchema,
  commitmentSchema,
  contextFields,
  contextSchema,
  optional,
  signatureSchema,
  slotSchema,
  transactionEncodingSchema,
} from '../schemas.ts';

const transactionConfigSchema = z.union([
  transactionEncodingSchema.transform((encoding) => ({
    encoding,
    commitment: undefined,
    maxSupportedTransactionVersion: undefined,
  })),
  z.object({
    encoding: optional(transactionEncodingSchema),
    commitment: optional(commitmentSchema),
    maxSupportedTransactionVersion: optional(z.int().min(0).max(255)),
  }),
]);

export const getTransaction = defineMethod({
  name: 'getTransaction',
  params: z.tuple([signatureSchema, transactionConfigSchema.optional()]),
  run: async ({ ledger }, signature, config) => {
    const maxSlot = historySlotFor(ledger, { commitment: config?.commitment, minContextSlot: undefined });
    const record = await ledger.history.transaction(signature);
    if (record === undefined || record.slot > maxSlot) return null;
    const { encoding, maxSupportedTransactionVersion } = config ?? {};
    const encoded = encodeTransaction(record, { encoding, maxSupportedTransactionVersion });
    return { slot: record.slot, ...encoded, blockTime: record.blockTime };
  },
});

export const getSignaturesForAddress = defineMethod({
  name: 'getSignaturesForAddress',
  params: z.tuple([
    addressSchema,
    z
      .object({
        ...contextFields,
        limit: optional(
          z.int().min(1).max(MAX_SIGNATURES_FOR_ADDRESS, `Invalid limit; max ${MAX_SIGNATURES_FOR_ADDRESS}`),
        ),
        before: optional(signatureSchema),
        until: optional(signatureSchema),
      })
      .optional(),
  ]),
  run: async ({ ledger }, address, config) => {
    const maxSlot = historySlotFor(ledger, config);
    const before = config?.before === undefined ? undefined : await ledger.history.transaction(config.before);
    // A signature that is not there was after everything, or before it: a node finds nothing older than it then.
    if (config?.before !== undefined && before === undefined) return [];
    const until = config?.until === undefined ? undefined : await ledger.history.transaction(config.until);
    const mentions = await ledger.history.mentionsOf(address, {
      maxSlot,
      limit: config?.limit ?? MAX_SIGNATURES_FOR_ADDRESS,
      ...(before === undefined ? {} : { before }),
      ...(until === undefined ? {} : { until }),
    });
    return mentions.map((mention) => encodeMention(ledger, mention));
  },
});

function encodeMention(ledger: Ledger, { signature, slot, error, memo, blockTime }: Mention): object {
  return { signature, slot, err: error, memo, blockTime, confirmationStatus: ledger.commitmentOf(slot) };
}

/** @throws RpcFault unless the block is there, at that commitment */
async function readHeader(ledger: Ledger, slot: number, maxSlot: number): Promise<BlockHeader> {
  const first = ledger.history.firstSlot;
  if (slot < first) {
    throw new RpcFault(
      'blockCleanedUp',
      `Block ${slot} cleaned up, does not exist on node. First available block: ${first}`,
    );
  }
  if (slot > maxSlot) throw new RpcFault('blockNotAvailable', `Block not available for slot ${slot}`);
  const header = await ledger.history.header(slot);
  if (header === undefined) {
    throw new RpcFault('slotSkipped', `Slot ${slot} was skipped, or missing in long-term storage`);
  }
  return header;
}

export const getBlock = defineMethod({
  name: 'getBlock',
  params: z.tuple([slotSchema, blockConfigSchema.optional()]),
  run: async ({ ledger }, slot, config) => {
    const maxSlot = historySlotFor(ledger, { commitment: config?.commitment, minContextSlot: undefined });
    const header = await readHeader(ledger, slot, maxSlot);
    const records = await readTransactions(ledger, header, config);
    return encodeBlock(header, records, config);
  },
});

async function readTransactions(
  ledger: Ledger,
  { slot, transactionCount }: BlockHeader,
  config: BlockConfig | undefined,
): Promise<readonly TransactionRecord[]> {
  return transactionCount === 0 || config?.transactionDetails === 'none'
    ? []
    : await ledger.history.transactionsOf(slot);
}

export const getBlocks = defineMethod({
  name: 'getBlocks',
  params: z.tuple([slotSchema, z.union([slotSchema, contextSchema]).optional(), contextSchema.optional()]),
  run: async ({ ledger }, first, second, third) => {
    const config = typeof second === 'object' ? second : third;
    const maxSlot = historySlotFor(ledger, config);
    const last = Math.min(typeof second === 'number' ? second : maxSlot, maxSlot);
    if (last < first) return [];
    if (last - first > MAX_BLOCKS_RANGE) {
      throw new RpcFault('invalidParams', `Slot range too large; max ${MAX_BLOCKS_RANGE}`);
    }
    return await ledger.history.slotsBetween(first, last, MAX_BLOCKS_RANGE);
  },
});

export const getBlocksWithLimit = defineMethod({
  name: 'getBlocksWithLimit',
  params: z.tuple([slotSchema, z.int().nonnegative(), contextSchema.optional()]),
  run: async ({ ledger }, first, limit, config) => {
    if (limit > MAX_BLOCKS_RANGE) throw new RpcFault('invalidParams', `Limit too large; max ${MAX_BLOCKS_RANGE}`);
    const maxSlot = historySlotFor(ledger, config);
    return maxSlot < first ? [] : await ledger.history.slotsBetween(first, maxSlot, limit);
  },
});

const getBlockTime = defineMethod({
  name: 'getBlockTime',
  params: z.tuple([slotSchema]),
  run: async ({ ledger }, slot) => (await readHeader(ledger, slot, ledger.slotAt('confirmed'))).blockTime,
});

const getBlockHeight = defineMethod({
  name: 'getBlockHeight',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => historyOrOpenSlot(ledger, config),
});

function historyOrOpenSlot(ledger: Ledger, config: z.output<typeof contextSchema> | undefined): number {
  return config?.commitment === 'processed' ? ledger.slotAt('processed') : historySlotFor(ledger, config);
}

const getBlockCommitment = defineMethod({
  name: 'getBlockCommitment',
  params: z.tuple([slotSchema]),
  // Nobody votes here.
  run: () => ({ commitment: null, totalStake: 0 }),
});

const getFirstAvailableBlock = defineMethod({
  name: 'getFirstAvailableBlock',
  params: z.tuple([]),
  run: ({ ledger }) => ledger.history.firstSlot,
});

const minimumLedgerSlot = defineMethod({
  name: 'minimumLedgerSlot',
  params: z.tuple([]),
  run: ({ ledger }) => ledger.history.firstSlot,
});

const getTransactionCount = defineMethod({
  name: 'getTransactionCount',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => {
    const slot = historyOrOpenSlot(ledger, config);
    return ledger.transactionCountAt(slot);
  },
});

export const HISTORY_METHODS: readonly RpcMethod[] = [
  getTransaction,
  getSignaturesForAddress,
  getBlock,
  getBlocks,
  getBlocksWithLimit,
  getBlockTime,
  getBlockHeight,
  getBlockCommitment,
  getFirstAvailableBlock,
  minimumLedgerSlot,
  getTransactionCount,
];
