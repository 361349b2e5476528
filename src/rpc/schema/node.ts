import { z } from 'zod';
import { beaconStatusSchema, chainStatusSchema, EXAMPLE_BEACON, EXAMPLE_CHAIN } from './chain-views.ts';
import {
  absolutePathSchema,
  EXAMPLE_JOB,
  EXAMPLE_LEASE,
  EXAMPLE_PEER,
  jobIdSchema,
  leaseIdSchema,
  noParamsSchema,
  peerKeySchema,
  unixMsSchema,
  wholeNumber,
} from './common.ts';
import { EXAMPLE_NEIGHBOURS, neighbourSummarySchema } from './neighbours.ts';

const networkStatusSchema = z.strictObject({
  listen: z.array(z.string()).describe('Multiaddrs listened on.'),
  reachability: z.strictObject({
    kind: z.enum(['public', 'private', 'unknown']).describe('Whether peers outside can connect to this node.'),
    reason: z.string().describe('Why it is taken for that.'),
    relays: z.array(z.string()).describe('Peers through which it is reached where it is not directly.'),
    relaying: z
      .strictObject({
        taken: wholeNumber('Places that others have here.'),
        of: wholeNumber('Places that there are.'),
      })
      .nullable()
      .describe('Null while it relays nothing for others.'),
  }),
  connections: wholeNumber('Open connections to peers.'),
  isDegraded: z.boolean().describe('True if no bootstrap peer answered although some are configured.'),
  bootstrap: z.array(
    z.strictObject({
      address: z.string(),
      outcome: z.enum(['connected', 'refused']),
      reason: z.string().nullable(),
    }),
  ),
  gossip: z.record(z.string(), z.strictObject({ meshPeers: wholeNumber('Peers in the mesh of the topic.') })),
  dhtPeers: wholeNumber('Peers in the routing table.'),
  duplicateIdentity: z
    .strictObject({ addresses: z.array(z.string()) })
    .nullable()
    .describe('Set when another daemon with the same identity was seen.'),
});

const providerStatusSchema = z.strictObject({
  isEnabled: z.boolean(),
  isDraining: z.boolean().describe('No new work is taken: it stops, or its operator has said so.'),
  closed: z
    .strictObject({ reason: z.enum(['drain', 'panic']), sinceMs: unixMsSchema })
    .nullable()
    .describe('Set by the operator, and kept over restarts; null while new work is taken.'),
  slots: z.strictObject({
    total: wholeNumber('Attempts that may run at once.'),
    reserved: wholeNumber('Slots held by offers and by leases that have not begun.'),
    running: wholeNumber('Slots in use.'),
  }),
  queue: z.strictObject({
    attempts: wholeNumber('Leased attempts that wait for a slot.'),
    expectedWaitMs: wholeNumber('How long a new job of normal priority is expected to wait, ms.'),
  }),
  attempts: z.array(
    z.strictObject({ lease: leaseIdSchema, job: jobIdSchema, requester: peerKeySchema, phase: z.string() }),
  ),
  completed: wholeNumber('Attempts completed.'),
  failed: wholeNumber('Attempts failed.'),
});

const EXAMPLE_PROVIDER = {
  isEnabled: true,
  isDraining: false,
  closed: null,
  slots: { total: 2, reserved: 0, running: 1 },
  queue: { attempts: 0, expectedWaitMs: 0 },
  attempts: [{ lease: EXAMPLE_LEASE, job: EXAMPLE_JOB, requester: EXAMPLE_PEER, phase: 'running' }],
  completed: 3,
  failed: 0,
};

const nodeStatusSchema = z.strictObject({
  peer: peerKeySchema,
  networkId: z.string(),
  preset: z.string(),
  version: z.string(),
  pid: wholeNumber('Process id.'),
  home: z.string().describe('Data folder.'),
  socket: z.string().describe('Control socket.'),
  startedAtMs: z.number().describe('Unix time in ms.'),
  uptimeMs: z.number().min(0),
  readyAfterMs: z.number().min(0).describe('From process start to ready, ms.'),
  memoryBytes: wholeNumber('Resident set size.'),
  network: networkStatusSchema,
  neighbours: neighbourSummarySchema,
  peersKnown: wholeNumber('Peers known of.'),
  provider: providerStatusSchema,
  jobs: z.strictObject({ active: wholeNumber('Jobs not ended.'), total: wholeNumber('All jobs held.') }),
  beacon: beaconStatusSchema,
  chain: chainStatusSchema.nullable().describe('Null on a network without a chain.'),
  remarks: z.array(z.string()).describe('What is weaker than it could be.'),
});

const noWorkSchema = z.strictObject({
  summary: z.string(),
  conditions: z.array(
    z.strictObject({ name: z.string(), isMet: z.boolean(), detail: z.string(), remedy: z.string().nullable() }),
  ),
  refusals: z.array(
    z.strictObject({
      code: z.string(),
      count: wholeNumber('How often.'),
      lastDetail: z.string(),
      lastRule: z
        .string()
        .nullable()
        .describe("Setting of the operator's policy that decided; null: another reason did."),
      lastAtMs: unixMsSchema,
    }),
  ),
  offersMade: wholeNumber('Offers made.'),
  leasesTaken: wholeNumber('Leases taken.'),
  lastRequestAtMs: unixMsSchema.nullable(),
});

const backupProgressFields = {
  files: wholeNumber('Files written.'),
  bytes: wholeNumber('Bytes written.'),
};
const backupEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('progress'), ...backupProgressFields }),
  z.strictObject({
    kind: z.literal('done'),
    path: z.string(),
    ...backupProgressFields,
    entries: wholeNumber('Entries of the database.'),
    missing: wholeNumber('Files that went away while it was written.'),
    remarks: z.array(z.string()).describe('What whoever keeps it should know.'),
  }),
]);

export const NODE_SUBSCRIPTIONS = {
  'node.backup': {
    summary: 'Writes all that the node keeps to a new file.',
    description: 'The last event is `done`; the file is there then, whole. Unsubscribing gives it up.',
    params: z.strictObject({
      path: absolutePathSchema,
      blobs: z.boolean().describe('With inputs, outputs and snapshots.'),
    }),
    event: backupEventSchema,
    example: {
      params: { path: '/mnt/backup/node.tar', blobs: true },
      event: { kind: 'progress', files: 12, bytes: 16_777_216 },
    },
  },
} as const;

export const NODE_METHODS = {
  'node.status': {
    summary: 'State of the node.',
    description: 'Identity, network, peers, work in hand, and remarks about what is weaker than it could be.',
    params: noParamsSchema,
    result: nodeStatusSchema,
    isConverted: true,
    example: {
      params: {},
      result: {
        peer: EXAMPLE_PEER,
        networkId: 'local',
        preset: 'local',
        version: '0.1.0',
        pid: 4242,
        home: '/home/me/.local/share/fogproof',
        socket: '/run/user/1000/fogproof/node.sock',
        startedAtMs: 1_790_000_000_000,
        uptimeMs: 60_000,
        readyAfterMs: 640,
        memoryBytes: 104_857_600,
        network: {
          listen: ['/ip4/127.0.0.1/tcp/4717'],
          reachability: { kind: 'unknown', reason: 'it listens for this machine only', relays: [], relaying: null },
          connections: 1,
          isDegraded: false,
          bootstrap: [],
          gossip: { '/fogproof/local/records/1': { meshPeers: 1 } },
          dhtPeers: 1,
          duplicateIdentity: null,
        },
        neighbours: EXAMPLE_NEIGHBOURS,
        peersKnown: 1,
        provider: EXAMPLE_PROVIDER,
        jobs: { active: 0, total: 0 },
        beacon: EXAMPLE_BEACON,
        chain: EXAMPLE_CHAIN,
        remarks: ["Strangers' jobs are isolated by process only."],
      },
    },
  },
  'node.stop': {
    summary: 'Stops the daemon gracefully.',
    description: 'With `drain`, work that runs is finished first and no new work is taken.',
    params: z.strictObject({ drain: z.boolean().describe('Finish the work that runs first.') }),
    result: z.strictObject({ isStopping: z.literal(true) }),
    example: { params: { drain: false }, result: { isStopping: true } },
  },
  'node.drain': {
    summary: 'Takes no new work from now on.',
    description: 'Work that runs or was committed comes to its end. Holds over restarts, until `node.resume`.',
    params: noParamsSchema,
    result: z.strictObject({ provider: providerStatusSchema }),
    example: {
      params: {},
      result: {
        provider: { ...EXAMPLE_PROVIDER, isDraining: true, closed: { reason: 'drain', sinceMs: 1_790_000_000_000 } },
      },
    },
  },
  'node.resume': {
    summary: 'Takes new work again.',
    description: 'After `node.drain` or `node.panic`.',
    params: noParamsSchema,
    result: z.strictObject({ provider: providerStatusSchema }),
    example: { params: {}, result: { provider: EXAMPLE_PROVIDER } },
  },
  'node.panic': {
    summary: 'Stops everything at once, and takes no new work.',
    description: 'Answers when no process of a sandbox is left. The node stays up, drained, until `node.resume`.',
    params: noParamsSchema,
    result: z.strictObject({
      attempts: wholeNumber('Attempts that waited or ran, and were ended.'),
      processes: wholeNumber('Processes that were ended, warm ones too.'),
      left: wholeNumber('Of those, how many were still there when the time was over.'),
      elapsedMs: wholeNumber('Until no process was left, ms.'),
    }),
    example: { params: {}, result: { attempts: 3, processes: 8, left: 0, elapsedMs: 62 } },
  },
  'node.whyNoWork': {
    summary: 'Says what keeps work away from this node.',
    description: 'Conditions with their remedies, then what was refused and why.',
    params: noParamsSchema,
    result: noWorkSchema,
    example: {
      params: {},
      result: {
        summary: 'Nobody has asked yet.',
        conditions: [
          {
            name: 'peers',
            isMet: false,
            detail: 'no peer is connected',
            remedy: 'Add a bootstrap peer with --bootstrap.',
          },
        ],
        refusals: [
          {
            code: 'AT_CAPACITY',
            count: 2,
            lastDetail: '2 of 2 slots taken',
            lastRule: null,
            lastAtMs: 1_790_000_000_000,
          },
        ],
        offersMade: 0,
        leasesTaken: 0,
        lastRequestAtMs: null,
      },
    },
  },
  'node.metrics': {
    summary: 'Metrics of the daemon.',
    description: 'In the text format of Prometheus.',
    params: noParamsSchema,
    result: z.strictObject({ text: z.string() }),
    example: { params: {}, result: { text: '# TYPE fogproof_rpc_connections gauge\nfogproof_rpc_connections 1\n' } },
  },
} as const;
