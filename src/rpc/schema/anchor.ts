import { z } from 'zod';
import { MAX_LIST_LIMIT } from '../constants.ts';
import {
  bytesSchema,
  EXAMPLE_ADDRESS,
  EXAMPLE_DIGEST,
  EXAMPLE_SIGNATURE,
  lamportsSchema,
  noParamsSchema,
  problemSchema,
  solanaAddressSchema,
  transactionSignatureSchema,
  unixMsSchema,
  wholeNumber,
} from './common.ts';

const anchorViewSchema = z.strictObject({
  batch: wholeNumber('Number of the batch at this node.'),
  state: z.enum(['open', 'sealed', 'waiting', 'sent', 'confirmed', 'finalized']),
  receipts: wholeNumber('Receipts in it.'),
  checkpoints: wholeNumber('Checkpoint roots in it.'),
  batchRoot: bytesSchema(32, 32, 'RFC 6962 root of the batch').nullable(),
  createdAtMs: unixMsSchema,
  log: solanaAddressSchema.describe('Account of the log.'),
  generation: wholeNumber('Slot in which the log was created.').nullable(),
  entry: wholeNumber('Index in the log.').nullable(),
  transaction: transactionSignatureSchema.nullable(),
  slot: wholeNumber('Slot of the transaction.').nullable(),
  feeLamports: lamportsSchema('Fee of the transaction.').nullable(),
  computeUnits: wholeNumber('Compute units that it took.').nullable(),
  problem: problemSchema.nullable().describe('Why it waits.'),
});

const EXAMPLE_ANCHOR = {
  batch: 7,
  state: 'finalized',
  receipts: 812,
  checkpoints: 0,
  batchRoot: EXAMPLE_DIGEST,
  createdAtMs: 1_790_000_000_000,
  log: EXAMPLE_ADDRESS,
  generation: 370_000_000,
  entry: 7,
  transaction: EXAMPLE_SIGNATURE,
  slot: 371_000_000,
  feeLamports: '5000',
  computeUnits: 3_100,
  problem: null,
};

export const ANCHOR_METHODS = {
  'anchor.list': {
    summary: 'Batches of receipts on the chain, or on their way to it.',
    description: 'Newest first.',
    params: z.strictObject({ limit: z.int().min(1).max(MAX_LIST_LIMIT).describe('Most batches to answer with.') }),
    result: z.strictObject({ anchors: z.array(anchorViewSchema) }),
    isConverted: true,
    example: { params: { limit: 10 }, result: { anchors: [EXAMPLE_ANCHOR] } },
  },
  'anchor.flush': {
    summary: 'Anchors what waits now.',
    description: 'Answers when it is final, or at once with null if nothing waits.',
    params: noParamsSchema,
    result: z.strictObject({ anchor: anchorViewSchema.nullable() }),
    isConverted: true,
    example: { params: {}, result: { anchor: EXAMPLE_ANCHOR } },
  },
} as const;
