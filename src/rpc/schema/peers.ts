import { z } from 'zod';
import { EXAMPLE_PEER, noParamsSchema, peerKeySchema, wholeNumber } from './common.ts';

const peerRecordViewSchema = z.strictObject({
  sequence: wholeNumber('Sequence number of the record.'),
  expiresAtMs: z.number().describe('Unix time in ms.'),
  software: z.string(),
  provides: z.boolean(),
  region: z.string().nullable(),
  cpuCores: wholeNumber('Declared.'),
  memoryBytes: wholeNumber('Declared.'),
  gpus: z.array(z.string()),
  executors: z.array(z.string()).describe('Kind, isolation levels and slots.'),
  pricesPerHour: z.array(z.string()),
});

const peerViewSchema = z.strictObject({
  peer: peerKeySchema,
  isConnected: z.boolean(),
  direction: z.enum(['inbound', 'outbound']).nullable(),
  addresses: z.array(z.string()),
  encryption: z.string().nullable(),
  latencyMs: z.number().nullable(),
  source: z.enum(['bootstrap', 'mdns', 'dht', 'gossip', 'remembered', 'inbound', 'manual']),
  record: peerRecordViewSchema.nullable(),
  neighbour: z
    .enum(['outbound', 'inbound', 'both'])
    .nullable()
    .describe('Outbound: this node chose it by VRF. Inbound: it chose this node.'),
});

export const PEERS_METHODS = {
  'peers.list': {
    summary: 'Peers known to this node.',
    description: 'Connected or not, with the facts of their newest valid record.',
    params: noParamsSchema,
    result: z.strictObject({ peers: z.array(peerViewSchema) }),
    example: {
      params: {},
      result: {
        peers: [
          {
            peer: EXAMPLE_PEER,
            isConnected: true,
            direction: 'outbound',
            addresses: ['/ip4/127.0.0.1/tcp/4717'],
            encryption: '/tls/1.0.0',
            latencyMs: 0.7,
            source: 'bootstrap',
            record: {
              sequence: 3,
              expiresAtMs: 1_790_000_600_000,
              software: 'fogproof/0.1.0',
              provides: true,
              region: null,
              cpuCores: 8,
              memoryBytes: 17_179_869_184,
              gpus: [],
              executors: ['wasm (process) × 2'],
              pricesPerHour: ['cpu 0'],
            },
            neighbour: 'outbound',
          },
        ],
      },
    },
  },
  'peers.connect': {
    summary: 'Dials a peer.',
    description: 'By multiaddr with its /p2p/ part.',
    params: z.strictObject({ address: z.string().min(1).max(512).describe('Multiaddr.') }),
    result: z.strictObject({ peer: peerKeySchema }),
    example: { params: { address: `/ip4/127.0.0.1/tcp/4717/p2p/${EXAMPLE_PEER}` }, result: { peer: EXAMPLE_PEER } },
  },
} as const;

export const PEERS_SUBSCRIPTIONS = {
  'peers.subscribe': {
    summary: 'How many peers are connected and known.',
    description: 'One event at once, then one for each change, at most four a second.',
    params: noParamsSchema,
    event: z.strictObject({ connected: wholeNumber('Peers connected.'), known: wholeNumber('Peers known.') }),
    example: { params: {}, event: { connected: 4, known: 9 } },
  },
} as const;
