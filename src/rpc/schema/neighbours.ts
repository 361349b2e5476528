import { z } from 'zod';
import { CLAIM_REFUSALS } from '../../domain/messages.ts';
import { NEIGHBOUR_CHECKS } from '../../network/interface.ts';
import { EXAMPLE_PEER, noParamsSchema, peerKeySchema, unixMsSchema, wholeNumber } from './common.ts';

const directionSchema = z
  .enum(['outbound', 'inbound'])
  .describe("Outbound: this node's VRF chose the peer. Inbound: the peer's chose this node.");

const summaryFields = {
  epoch: wholeNumber('Epoch of now, by the clock of this machine.'),
  chosenAtEpoch: wholeNumber('Epoch of the choice that stands.').nullable(),
  problem: z
    .strictObject({ code: z.string(), message: z.string() })
    .nullable()
    .describe('Why there is no choice for this epoch yet.'),
  slots: wholeNumber('Neighbours that this node keeps.'),
  outbound: wholeNumber('Those that it has.'),
  inboundSlots: wholeNumber('Most peers whose neighbour this node is.'),
  inbound: wholeNumber('Those whose neighbour it is.'),
  isGenesis: z.boolean().describe('Not up for two epochs: it takes whom it knows, whatever their age.'),
  isPredictable: z.boolean().nullable().describe('Anybody could compute the value of the beacon beforehand.'),
  networkSize: wholeNumber('Nodes of the network, as estimated.'),
  candidates: z.strictObject({
    known: wholeNumber('Pairs of peer and VRF key in the table.'),
    eligible: wholeNumber('Those that may be chosen now.'),
  }),
};

/** Without the single neighbours: what `node.status` has. */
export const neighbourSummarySchema = z.strictObject(summaryFields);

const neighbourViewSchema = z.strictObject({
  peer: peerKeySchema,
  direction: directionSchema,
  epoch: wholeNumber('Epoch whose VRF output chose it.'),
  endsAtEpoch: wholeNumber('First epoch in which it is over.'),
  rank: z.string().describe('Hex, 32 bytes.'),
  shareOfBound: z.number().min(0).describe('Rank as a share of the highest that is accepted.'),
  sinceMs: unixMsSchema,
  why: z.enum(['ranked', 'healing', 'genesis']),
  isConnected: z.boolean(),
  groups: z.array(z.string()).describe('What it may have in common with others.'),
});

const refusalSchema = z.strictObject({
  peer: peerKeySchema,
  code: z.enum([...CLAIM_REFUSALS, 'unreachable', 'unknown-to-others', 'crowded', 'left', 'expired']),
  detail: z.string(),
});

const checkSchema = z.strictObject({
  peer: peerKeySchema,
  direction: directionSchema.nullable().describe('Null: it is no neighbour.'),
  isValid: z.boolean(),
  steps: z.array(
    z.strictObject({
      name: z.enum(NEIGHBOUR_CHECKS),
      verdict: z.enum(['passed', 'failed', 'unchecked']),
      detail: z.string(),
    }),
  ),
});

export const EXAMPLE_NEIGHBOURS = {
  epoch: 497_222,
  chosenAtEpoch: 497_222,
  problem: null,
  slots: 8,
  outbound: 1,
  inboundSlots: 32,
  inbound: 0,
  isGenesis: false,
  isPredictable: true,
  networkSize: 40,
  candidates: { known: 39, eligible: 37 },
};

const EXAMPLE_RANK = '04c1b7e2a95d3f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8';

export const NEIGHBOURS_METHODS = {
  'neighbours.list': {
    summary: 'Neighbours of this node.',
    description: 'Peers that its VRF chose, peers whose VRF chose it, and who refused in this epoch.',
    params: noParamsSchema,
    result: z.strictObject({
      ...summaryFields,
      neighbours: z.array(neighbourViewSchema),
      refusals: z.array(refusalSchema),
    }),
    example: {
      params: {},
      result: {
        ...EXAMPLE_NEIGHBOURS,
        neighbours: [
          {
            peer: EXAMPLE_PEER,
            direction: 'outbound',
            epoch: 497_222,
            endsAtEpoch: 497_224,
            rank: EXAMPLE_RANK,
            shareOfBound: 0.0232,
            sinceMs: 1_790_000_000_000,
            why: 'ranked',
            isConnected: true,
            groups: ['address 203.0.113.0/24'],
          },
        ],
        refusals: [{ peer: EXAMPLE_PEER, code: 'full', detail: '32 lower ranks hold all slots' }],
      },
    },
  },
  'neighbours.verify': {
    summary: 'Checks a neighbour again.',
    description: 'Each slot of the peer: an inbound one by the proof that it showed, an outbound one by the own.',
    params: z.strictObject({ peer: peerKeySchema }),
    result: z.strictObject({ checks: z.array(checkSchema) }),
    example: {
      params: { peer: EXAMPLE_PEER },
      result: {
        checks: [
          {
            peer: EXAMPLE_PEER,
            direction: 'inbound',
            isValid: false,
            steps: [
              { name: 'epoch', verdict: 'passed', detail: 'epoch 497222; it is 497222 here' },
              { name: 'beacon', verdict: 'passed', detail: 'known' },
              { name: 'record', verdict: 'passed', detail: 'the newest that is known' },
              { name: 'key', verdict: 'failed', detail: 'another VRF key than the record names' },
            ],
          },
        ],
      },
    },
  },
} as const;
