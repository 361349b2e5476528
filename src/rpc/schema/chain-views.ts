import { z } from 'zod';
import {
  blockHashSchema,
  bytesSchema,
  EXAMPLE_ADDRESS,
  EXAMPLE_DIGEST,
  EXAMPLE_HASH,
  lamportsSchema,
  problemSchema,
  solanaAddressSchema,
  unixMsSchema,
  wholeNumber,
} from './common.ts';

const clusterSchema = z
  .strictObject({
    genesis: blockHashSchema,
    name: z
      .enum(['mainnet-beta', 'devnet', 'testnet'])
      .nullable()
      .describe("Null for a chain that is none of Solana's."),
  })
  .describe('By genesis hash, whatever the endpoints call themselves.');

export const walletViewSchema = z.strictObject({
  address: solanaAddressSchema,
  signer: z.string().describe('Where the key is, in words.'),
  lamports: lamportsSchema('Balance; null if no endpoint answers.').nullable(),
  cluster: clusterSchema.nullable(),
});

const endpointSchema = z.strictObject({
  url: z.string().describe('Without credentials.'),
  state: z.enum(['untried', 'ok', 'failing', 'refused']),
  slot: wholeNumber('Newest slot that it told.').nullable(),
  latencyMs: z.number().min(0).nullable(),
  problem: z.string().nullable(),
});

const anchoringStatusSchema = z.strictObject({
  log: solanaAddressSchema,
  waiting: wholeNumber('Leaves that wait in the open batch.'),
  batchesInFlight: wholeNumber('Batches sealed and not final.'),
  anchored: wholeNumber('Leaves anchored.'),
  problem: problemSchema.nullable(),
});

export const chainStatusSchema = z.strictObject({
  expectedGenesis: blockHashSchema,
  cluster: clusterSchema.nullable(),
  isReachable: z.boolean(),
  endpoints: z.array(endpointSchema),
  wallet: walletViewSchema,
  anchoring: anchoringStatusSchema,
});

const beaconBlockSchema = z.strictObject({
  slot: wholeNumber('Slot of the block.'),
  blockHash: bytesSchema(32, 32, 'Hash of the block'),
  timeMs: unixMsSchema,
});

const beaconValueSchema = z.strictObject({
  round: wholeNumber('Number of the round, from Unix time 0.'),
  startsAtMs: z.number().describe('Unix time in ms.'),
  value: bytesSchema(32, 32, 'The value'),
  source: z.enum(['chain', 'time', 'fixed']),
  isPredictable: z.boolean(),
  block: beaconBlockSchema.nullable().describe('What it was made from, for others to repeat.'),
});

export const beaconStatusSchema = z.strictObject({
  source: z.enum(['chain', 'time', 'fixed']),
  isPredictable: z.boolean().describe('Whoever wants to can know values before their rounds.'),
  roundMs: wholeNumber('Length of a round, ms.'),
  epochRounds: wholeNumber('Rounds in an epoch.'),
  currentRound: wholeNumber('By the clock of this machine.'),
  currentEpoch: wholeNumber('By the clock of this machine.'),
  latestKnown: beaconValueSchema.nullable(),
  problem: problemSchema.nullable().describe('Why newer values are not known.'),
});

export const EXAMPLE_WALLET = {
  address: EXAMPLE_ADDRESS,
  signer: 'derived from the identity',
  lamports: '1999955000',
  cluster: { genesis: EXAMPLE_HASH, name: 'mainnet-beta' },
};

export const EXAMPLE_CHAIN = {
  expectedGenesis: EXAMPLE_HASH,
  cluster: { genesis: EXAMPLE_HASH, name: 'mainnet-beta' },
  isReachable: true,
  endpoints: [{ url: 'https://rpc.example', state: 'ok', slot: 371_000_000, latencyMs: 41, problem: null }],
  wallet: EXAMPLE_WALLET,
  anchoring: { log: EXAMPLE_ADDRESS, waiting: 3, batchesInFlight: 0, anchored: 812, problem: null },
};

export const EXAMPLE_BEACON = {
  source: 'chain',
  isPredictable: false,
  roundMs: 30_000,
  epochRounds: 120,
  currentRound: 59_666_667,
  currentEpoch: 497_222,
  latestKnown: {
    round: 59_666_666,
    startsAtMs: 1_789_999_980_000,
    value: EXAMPLE_DIGEST,
    source: 'chain',
    isPredictable: false,
    block: { slot: 371_000_000, blockHash: EXAMPLE_DIGEST, timeMs: 1_789_999_980_000 },
  },
  problem: null,
};
