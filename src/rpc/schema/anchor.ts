import { z } from 'zod';
import { MAX_LIST_LIMIT } from '../constants.ts';
import {
  blockHashSchema,
  bytesSchema,
  EXAMPLE_ADDRESS,
  EXAMPLE_DIGEST,
  EXAMPLE_HASH,
  EXAMPLE_JOB,
  EXAMPLE_SIGNATURE,
  jobIdSchema,
  lamportsSchema,
  noParamsSchema,
  objectIdSchema,
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
  genesis: blockHashSchema.describe('Genesis hash of the chain that the root is on or is sent to.'),
  isOtherChain: z.boolean().describe('It is final on a chain of an earlier network of this node, not on this one.'),
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
  genesis: EXAMPLE_HASH,
  isOtherChain: false,
  log: EXAMPLE_ADDRESS,
  generation: 370_000_000,
  entry: 7,
  transaction: EXAMPLE_SIGNATURE,
  slot: 371_000_000,
  feeLamports: '5000',
  computeUnits: 3_100,
  problem: null,
};

const anchorCheckSchema = z.strictObject({
  receipt: objectIdSchema.describe('Id of the receipt.'),
  entry: wholeNumber('Index of the batch in the log.'),
  leafIndex: wholeNumber('Index of the receipt in its batch.'),
  batchSize: wholeNumber('Leaves of the batch.'),
  against: z.enum(['recent', 'logged']).describe('The ring of the last 64 entries, or the head of the log.'),
  transaction: transactionSignatureSchema,
  slot: wholeNumber('Slot of the transaction.'),
  feeLamports: lamportsSchema('Fee of the transaction.').nullable(),
  computeUnits: wholeNumber('Compute units that it took.').nullable(),
});

const EXAMPLE_CHECK = {
  receipt: EXAMPLE_JOB,
  entry: 7,
  leafIndex: 3,
  batchSize: 812,
  against: 'recent',
  transaction: EXAMPLE_SIGNATURE,
  slot: 371_000_040,
  feeLamports: '5000',
  computeUnits: 4_200,
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
  'anchor.verify': {
    summary: 'Has the program check on chain that the receipts of a job are anchored.',
    description: 'One transaction a receipt, paid by the wallet of this node. Answers when all are final.',
    params: z.strictObject({ job: jobIdSchema }),
    result: z.strictObject({ checks: z.array(anchorCheckSchema) }),
    isConverted: true,
    example: { params: { job: EXAMPLE_JOB }, result: { checks: [EXAMPLE_CHECK] } },
  },
} as const;
