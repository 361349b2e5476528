import { z } from 'zod';
import { LAMPORTS_PER_SIGNATURE } from '../../constants.ts';
import { commitmentOf, slotFor, withContext } from '../commitments.ts';
import { defineMethod } from '../define-method.ts';
import { RpcFault } from '../faults.ts';
import type { RpcMethod } from '../interface.ts';
import { commitmentConfigSchema, hashSchema } from '../schemas.ts';
import { getBlock, getBlocks, getBlocksWithLimit, getSignaturesForAddress, getTransaction } from './history.ts';

/** Methods that validators dropped with version 2.0; clients of before still call them. */
const feeCalculator = { lamportsPerSignature: LAMPORTS_PER_SIGNATURE };

function renamed(name: string, method: RpcMethod): RpcMethod {
  return { name, call: (params, context) => method.call(params, context) };
}

const getRecentBlockhash = defineMethod({
  name: 'getRecentBlockhash',
  params: z.tuple([commitmentConfigSchema.optional()]),
  run: ({ ledger }, config) => {
    const slot = slotFor(ledger, config);
    return withContext(slot, { blockhash: ledger.latestBlock(commitmentOf(config)).blockhash, feeCalculator });
  },
});

const getFees = defineMethod({
  name: 'getFees',
  params: z.tuple([commitmentConfigSchema.optional()]),
  run: ({ ledger }, config) => {
    const slot = slotFor(ledger, config);
    const { blockhash } = ledger.latestBlock(commitmentOf(config));
    const lastValidBlockHeight = ledger.lastValidBlockHeight(blockhash);
    return withContext(slot, { blockhash, feeCalculator, lastValidSlot: lastValidBlockHeight, lastValidBlockHeight });
  },
});

const getFeeCalculatorForBlockhash = defineMethod({
  name: 'getFeeCalculatorForBlockhash',
  params: z.tuple([hashSchema, commitmentConfigSchema.optional()]),
  run: ({ ledger }, blockhash, config) => {
    const slot = slotFor(ledger, config);
    return withContext(slot, ledger.isBlockhashValid(blockhash, 'processed') ? { feeCalculator } : null);
  },
});

const getSnapshotSlot = defineMethod({
  name: 'getSnapshotSlot',
  params: z.tuple([]),
  run: () => {
    throw new RpcFault('noSnapshot', 'No snapshot');
  },
});

export const DEPRECATED_METHODS: readonly RpcMethod[] = [
  renamed('getConfirmedTransaction', getTransaction),
  renamed('getConfirmedSignaturesForAddress2', getSignaturesForAddress),
  renamed('getConfirmedBlock', getBlock),
  renamed('getConfirmedBlocks', getBlocks),
  renamed('getConfirmedBlocksWithLimit', getBlocksWithLimit),
  getRecentBlockhash,
  getFees,
  getFeeCalculatorForBlockhash,
  getSnapshotSlot,
];
