import { z } from 'zod';
import { TEE_KINDS } from '../../domain/capability.ts';
import { inferenceReportSchema } from '../../domain/inference-workload.ts';
import { ATTEMPT_FAILURES, PROGRAM_FAILURES } from '../../domain/receipt.ts';
import { REFUSALS, type RefusalCode, refusalSchema } from '../../domain/refusal.ts';
import { ATTEMPT_STATES, JOB_STATES } from '../../scheduler/interface.ts';
import {
  blobIdSchema,
  EXAMPLE_BLOB,
  EXAMPLE_JOB,
  EXAMPLE_LEASE,
  EXAMPLE_PEER,
  jobIdSchema,
  leaseIdSchema,
  peerKeySchema,
  unixMsSchema,
  wholeNumber,
} from './common.ts';

const hashSchema = z.string().describe('32 bytes in hex.');

export const jobStateSchema = z.enum(JOB_STATES);

export const attemptViewSchema = z.strictObject({
  lease: leaseIdSchema,
  provider: peerKeySchema,
  replica: wholeNumber('Which replica, from 0.'),
  attempt: wholeNumber('How often this replica was tried before.'),
  state: z.enum(ATTEMPT_STATES),
  leasedAtMs: unixMsSchema,
  leaseEndsAtMs: unixMsSchema,
  resultsKeptForMs: wholeNumber('How long after its end the provider keeps the result, ms, as it signed.')
    .exactOptional()
    .describe('Absent: it did not say.'),
  progress: z
    .strictObject({
      fuel: wholeNumber('Instructions; null of a command.').nullable(),
      step: wholeNumber('Steps.'),
      cpuTimeMs: z.number().min(0),
    })
    .nullable(),
  reason: z.string().nullable().describe('Why it ended, where it did not end well.'),
  checkpoint: z
    .strictObject({
      step: wholeNumber('Step of its newest checkpoint.'),
      head: hashSchema,
      heldStep: wholeNumber('Newest step of which a snapshot is held.').nullable(),
    })
    .exactOptional()
    .describe('Absent: it has made none.'),
  resumedFrom: z
    .strictObject({ lease: leaseIdSchema, step: wholeNumber('Step that it went on from.') })
    .exactOptional()
    .describe('Absent: it began at the beginning.'),
  evidence: z
    .strictObject({
      kind: z.enum(TEE_KINDS).describe('`simulated` shows nothing of any hardware.'),
      measurement: z.string().describe('Of the code that runs there, hex.'),
      gpus: z.boolean().describe('NVIDIA GPUs have shown evidence too.'),
      blob: blobIdSchema.describe('The evidence as it was judged.'),
      judgedAtMs: unixMsSchema,
    })
    .exactOptional()
    .describe('Found valid before anything was released. Absent: none was, or the job is not confidential.'),
});

export const outcomeViewSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('completed') }),
  z.strictObject({ kind: z.literal('program-failed'), code: z.enum(PROGRAM_FAILURES), detail: z.string() }),
  z.strictObject({ kind: z.literal('attempt-failed'), code: z.enum(ATTEMPT_FAILURES), detail: z.string() }),
]);

export const jobResultViewSchema = z.strictObject({
  outcome: outcomeViewSchema,
  outputs: z.array(z.strictObject({ path: z.string(), blob: blobIdSchema, sizeBytes: wholeNumber('Bytes.') })),
  outputRoot: z.string().describe('CID of the canonical result that the replicas agreed on.'),
  fuel: wholeNumber('Instructions run; null where the kind of work counts none.').nullable(),
  steps: wholeNumber('Steps made.'),
  inference: inferenceReportSchema
    .exactOptional()
    .describe('How the provider of the accepted result answered the items of a model; absent for other kinds.'),
  agreeing: z.array(leaseIdSchema).describe('Leases whose results agree with the accepted one.'),
  dissenting: z.array(leaseIdSchema).describe('Leases whose results differ from it.'),
  withinTolerance: z
    .strictObject({
      leases: z.array(leaseIdSchema).describe('Leases that agree without being byte-identical.'),
      largest: z
        .strictObject({
          path: z.string(),
          index: wholeNumber('Place of the element, or word, in the file.'),
          a: z.string().describe('What the accepted result has there.'),
          b: z.string(),
          share: z.string().describe('The difference over what is tolerated there, a decimal: at most 1.'),
        })
        .nullable()
        .describe('The largest difference from the accepted result; null where all files are the same.'),
    })
    .exactOptional()
    .describe('Only for jobs that may tolerate differences. Absent: all that agree are byte-identical.'),
});

export const jobViewSchema = z.strictObject({
  job: jobIdSchema,
  name: z.string(),
  state: jobStateSchema,
  desired: z.enum(['run', 'pause', 'cancel']),
  createdAtMs: unixMsSchema,
  deadlineMs: unixMsSchema,
  endedAtMs: unixMsSchema.nullable(),
  replicas: wholeNumber('Providers that each run the whole job.'),
  quorum: wholeNumber('Equal results needed to accept.'),
  attempts: z.array(attemptViewSchema),
  result: jobResultViewSchema.nullable(),
  failure: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
});

const refusalViewSchema = z.strictObject({
  code: z.enum(Object.keys(REFUSALS) as [RefusalCode, ...RefusalCode[]]),
  detail: refusalSchema.shape.detail,
});

const announcementsViewSchema = z.strictObject({
  count: wholeNumber('Announcements that went out.'),
  lastAtMs: unixMsSchema.nullable(),
  lastRecipients: wholeNumber('Peers that the last one was sent to; they pass it on.'),
  given: z
    .strictObject({
      wanted: wholeNumber('Offers that could be taken.'),
      unwanted: wholeNumber('Offers that came too late, or from a provider that has the job or failed it.'),
      invalid: wholeNumber('Offers that were not valid.'),
    })
    .describe('What came back.'),
  failure: z.string().nullable().describe('Why the last one could not be sent.'),
});

export const jobExplanationSchema = z.strictObject({
  job: jobIdSchema,
  state: jobStateSchema,
  summary: z.string(),
  asked: z.array(
    z.strictObject({
      provider: peerKeySchema,
      atMs: unixMsSchema,
      answer: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('offered') }),
        z.strictObject({ kind: z.literal('refused'), refusal: refusalViewSchema }),
        z.strictObject({ kind: z.literal('unreachable'), reason: z.string() }),
      ]),
    }),
  ),
  announced: announcementsViewSchema.exactOptional().describe('Absent: known peers sufficed, nothing was announced.'),
  hints: z.array(z.string()),
});

const eventShape = { job: jobIdSchema, atMs: unixMsSchema };
const outputShape = { ...eventShape, lease: leaseIdSchema, replica: wholeNumber('Which replica, from 0.') };

const ordinalSchema = wholeNumber('Place among the logs and metrics of the replica, from 1; equal for all replicas.')
  .exactOptional()
  .describe('Absent where the job does not step.');

const snapshotStateSchema = z
  .enum(['held', 'announced', 'none'])
  .describe("`held`: all of it is on the holder's disk; `announced`: only the provider has it.");

export const checkpointViewSchema = z.strictObject({
  lease: leaseIdSchema,
  provider: peerKeySchema,
  replica: wholeNumber('Which replica, from 0.'),
  step: wholeNumber('Steps done; training rounds where the job reports those.'),
  fuel: wholeNumber('Instructions; null of a command.').nullable(),
  atMs: unixMsSchema,
  head: hashSchema,
  stateRoot: hashSchema,
  snapshot: snapshotStateSchema,
});

export const jobEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('state'), ...eventShape, state: jobStateSchema }),
  z.strictObject({ kind: z.literal('attempt'), ...eventShape, attempt: attemptViewSchema }),
  z.strictObject({
    kind: z.literal('checkpoint'),
    ...outputShape,
    step: wholeNumber('Steps done; training rounds where the job reports those.'),
    stateRoot: hashSchema,
    snapshot: snapshotStateSchema,
  }),
  z.strictObject({
    kind: z.literal('log'),
    ...outputShape,
    stream: z.enum(['stdout', 'stderr', 'log']),
    text: z.string(),
    ordinal: ordinalSchema,
  }),
  z.strictObject({
    kind: z.literal('metric'),
    ...outputShape,
    name: z.string(),
    value: z.string(),
    step: wholeNumber('Step that it belongs to.'),
    ordinal: ordinalSchema,
  }),
]);

export const jobRatingsSchema = z.strictObject({
  job: jobIdSchema,
  ratings: z.array(
    z.strictObject({
      lease: leaseIdSchema,
      replica: wholeNumber('Which replica, from 0.'),
      provider: peerKeySchema,
      stars: z.int().min(1).max(5).describe('From 1 to 5.'),
      replaced: z.int().min(1).max(5).nullable().describe('The rating in whose place it comes.'),
    }),
  ),
  signedAtMs: unixMsSchema.describe('When they are signed: until then another rating takes their place.'),
});

export const EXAMPLE_JOB_VIEW = {
  job: EXAMPLE_JOB,
  name: 'train digits',
  state: 'completed',
  desired: 'run',
  createdAtMs: 1_790_000_000_000,
  deadlineMs: 1_790_003_600_000,
  endedAtMs: 1_790_000_004_200,
  replicas: 1,
  quorum: 1,
  attempts: [
    {
      lease: EXAMPLE_LEASE,
      provider: EXAMPLE_PEER,
      replica: 0,
      attempt: 0,
      state: 'revealed',
      leasedAtMs: 1_790_000_000_100,
      leaseEndsAtMs: 1_790_000_120_100,
      progress: { fuel: 1_200_000, step: 12, cpuTimeMs: 900 },
      reason: null,
    },
  ],
  result: {
    outcome: { kind: 'completed' },
    outputs: [{ path: '/model.bin', blob: EXAMPLE_BLOB, sizeBytes: 5_200 }],
    outputRoot: EXAMPLE_LEASE,
    fuel: 1_200_000,
    steps: 12,
    agreeing: [EXAMPLE_LEASE],
    dissenting: [],
  },
  failure: null,
};
