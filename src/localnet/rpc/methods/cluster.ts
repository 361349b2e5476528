import { z } from 'zod';
import { SLOTS_PER_EPOCH } from '../../constants.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { API_VERSION, slotFor, withContext } from '../commitments.ts';
import { defineMethod } from '../define-method.ts';
import { RpcFault } from '../faults.ts';
import type { RpcMethod } from '../interface.ts';
import { addressSchema, contextFields, contextSchema, optional, slotSchema } from '../schemas.ts';

const MAX_SLOT_LEADERS = 5_000;
/** One SOL, in lamports: the least that a stake holds. */
const STAKE_MINIMUM_DELEGATION = 1_000_000_000;
const PERFORMANCE_SAMPLE_SECONDS = 60;
const MAX_PERFORMANCE_SAMPLES = 720;

const getSlot = defineMethod({
  name: 'getSlot',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => slotFor(ledger, config),
});

const getSlotLeader = defineMethod({
  name: 'getSlotLeader',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => {
    slotFor(ledger, config);
    return ledger.identity;
  },
});

const getSlotLeaders = defineMethod({
  name: 'getSlotLeaders',
  params: z.tuple([slotSchema, z.int().min(1).max(MAX_SLOT_LEADERS, `Invalid limit; max ${MAX_SLOT_LEADERS}`)]),
  run: ({ ledger }, _, limit) => Array.from({ length: limit }, () => ledger.identity),
});

const getLeaderSchedule = defineMethod({
  name: 'getLeaderSchedule',
  params: z.tuple([
    z.union([slotSchema, z.object({ ...contextFields, identity: optional(addressSchema) })]).optional(),
    z.object({ ...contextFields, identity: optional(addressSchema) }).optional(),
  ]),
  run: ({ ledger }, first, second) => {
    const config = typeof first === 'object' ? first : second;
    const slot = typeof first === 'number' ? first : slotFor(ledger, config);
    if (Math.floor(slot / SLOTS_PER_EPOCH) > Math.floor(ledger.slotAt('processed') / SLOTS_PER_EPOCH) + 1) return null;
    if (config?.identity !== undefined && config.identity !== ledger.identity) return {};
    return { [ledger.identity]: Array.from({ length: SLOTS_PER_EPOCH }, (_, index) => index) };
  },
});

function describeEpoch(ledger: Ledger, slot: number) {
  return {
    epoch: Math.floor(slot / SLOTS_PER_EPOCH),
    slotIndex: slot % SLOTS_PER_EPOCH,
    slotsInEpoch: SLOTS_PER_EPOCH,
    absoluteSlot: slot,
    blockHeight: slot,
    transactionCount: ledger.transactionCountAt(slot),
  };
}

const getEpochInfo = defineMethod({
  name: 'getEpochInfo',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => describeEpoch(ledger, slotFor(ledger, config)),
});

const getEpochSchedule = defineMethod({
  name: 'getEpochSchedule',
  params: z.tuple([]),
  run: () => ({
    slotsPerEpoch: SLOTS_PER_EPOCH,
    leaderScheduleSlotOffset: SLOTS_PER_EPOCH,
    warmup: false,
    firstNormalEpoch: 0,
    firstNormalSlot: 0,
  }),
});

const getGenesisHash = defineMethod({
  name: 'getGenesisHash',
  params: z.tuple([]),
  run: ({ ledger }) => ledger.genesis,
});

const getHealth = defineMethod({
  name: 'getHealth',
  params: z.tuple([]),
  run: ({ ledger }) => {
    if (ledger.failure !== undefined) throw new RpcFault('unhealthy', 'Node is unhealthy', { numSlotsBehind: null });
    return 'ok';
  },
});

const getVersion = defineMethod({
  name: 'getVersion',
  params: z.tuple([]),
  // Clients parse `solana-core`; the other field says what this is.
  run: () => ({
    'solana-core': API_VERSION,
    'feature-set': 0,
    'fogproof-localnet': 'a local development chain, no cluster',
  }),
});

const getIdentity = defineMethod({
  name: 'getIdentity',
  params: z.tuple([]),
  run: ({ ledger }) => ({ identity: ledger.identity }),
});

const getInflationGovernor = defineMethod({
  name: 'getInflationGovernor',
  params: z.tuple([contextSchema.optional()]),
  run: () => ({ initial: 0, terminal: 0, taper: 0, foundation: 0, foundationTerm: 0 }),
});

const getInflationRate = defineMethod({
  name: 'getInflationRate',
  params: z.tuple([]),
  run: ({ ledger }) => ({
    total: 0,
    validator: 0,
    foundation: 0,
    epoch: Math.floor(ledger.slotAt('finalized') / SLOTS_PER_EPOCH),
  }),
});

const getInflationReward = defineMethod({
  name: 'getInflationReward',
  params: z.tuple([
    z.array(addressSchema).max(1_000),
    z.object({ ...contextFields, epoch: optional(slotSchema) }).optional(),
  ]),
  run: (_, addresses) => addresses.map(() => null),
});

const getVoteAccounts = defineMethod({
  name: 'getVoteAccounts',
  params: z.tuple([
    z
      .object({ ...contextFields, votePubkey: optional(addressSchema), keepUnstakedDelinquents: optional(z.boolean()) })
      .optional(),
  ]),
  run: () => ({ current: [], delinquent: [] }),
});

const getClusterNodes = defineMethod({
  name: 'getClusterNodes',
  params: z.tuple([]),
  run: ({ ledger, addresses }) => {
    const { rpc, webSocket } = addresses();
    return [
      {
        pubkey: ledger.identity,
        gossip: null,
        tpu: null,
        tpuQuic: null,
        rpc,
        pubsub: webSocket,
        version: API_VERSION,
        featureSet: 0,
        shredVersion: 0,
      },
    ];
  },
});

const getHighestSnapshotSlot = defineMethod({
  name: 'getHighestSnapshotSlot',
  params: z.tuple([]),
  run: () => {
    throw new RpcFault('noSnapshot', 'No snapshot');
  },
});

const getStakeMinimumDelegation = defineMethod({
  name: 'getStakeMinimumDelegation',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => withContext(slotFor(ledger, config), STAKE_MINIMUM_DELEGATION),
});

const getRecentPerformanceSamples = defineMethod({
  name: 'getRecentPerformanceSamples',
  params: z.tuple([
    z.int().min(0).max(MAX_PERFORMANCE_SAMPLES, `Invalid limit; max ${MAX_PERFORMANCE_SAMPLES}`).optional(),
  ]),
  run: ({ ledger, slotMs }, limit) => {
    const numSlots = Math.max(1, Math.round((PERFORMANCE_SAMPLE_SECONDS * 1000) / slotMs));
    const newest = ledger.slotAt('finalized');
    const count = Math.min(limit ?? MAX_PERFORMANCE_SAMPLES, Math.floor(newest / numSlots));
    return Array.from({ length: count }, (_, index) => {
      const slot = newest - index * numSlots;
      const numTransactions = ledger.transactionCountAt(slot) - ledger.transactionCountAt(slot - numSlots);
      return {
        slot,
        numTransactions,
        numNonVoteTransactions: numTransactions,
        numSlots,
        samplePeriodSecs: PERFORMANCE_SAMPLE_SECONDS,
      };
    });
  },
});

const getBlockProduction = defineMethod({
  name: 'getBlockProduction',
  params: z.tuple([
    z
      .object({
        ...contextFields,
        identity: optional(addressSchema),
        range: optional(z.object({ firstSlot: slotSchema, lastSlot: optional(slotSchema) })),
      })
      .optional(),
  ]),
  run: ({ ledger }, config) => {
    const slot = slotFor(ledger, config);
    const firstSlot = config?.range?.firstSlot ?? slot - (slot % SLOTS_PER_EPOCH);
    const lastSlot = config?.range?.lastSlot ?? slot;
    if (lastSlot > slot || firstSlot > lastSlot)
      throw new RpcFault('invalidParams', `firstSlot, lastSlot: expected a range up to ${slot}`);
    const made = lastSlot - firstSlot + 1;
    const isOther = config?.identity !== undefined && config.identity !== ledger.identity;
    const byIdentity = isOther ? {} : { [ledger.identity]: [made, made] };
    return withContext(slot, { byIdentity, range: { firstSlot, lastSlot } });
  },
});

const getMaxRetransmitSlot = defineMethod({
  name: 'getMaxRetransmitSlot',
  params: z.tuple([]),
  run: ({ ledger }) => ledger.slotAt('processed'),
});

const getMaxShredInsertSlot = defineMethod({
  name: 'getMaxShredInsertSlot',
  params: z.tuple([]),
  run: ({ ledger }) => ledger.slotAt('processed'),
});

export const CLUSTER_METHODS: readonly RpcMethod[] = [
  getSlot,
  getSlotLeader,
  getSlotLeaders,
  getLeaderSchedule,
  getEpochInfo,
  getEpochSchedule,
  getGenesisHash,
  getHealth,
  getVersion,
  getIdentity,
  getInflationGovernor,
  getInflationRate,
  getInflationReward,
  getVoteAccounts,
  getClusterNodes,
  getHighestSnapshotSlot,
  getStakeMinimumDelegation,
  getRecentPerformanceSamples,
  getBlockProduction,
  getMaxRetransmitSlot,
  getMaxShredInsertSlot,
];
