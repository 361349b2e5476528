import { z } from 'zod';
import { MAX_BATCH_JOBS } from '../../domain/job-batch.ts';
import { JOB_STATES, type JobState } from '../../scheduler/interface.ts';
import { MAX_BATCH_PAGE, MAX_LIST_LIMIT, MAX_SUBMIT_MANY } from '../constants.ts';
import { EXAMPLE_JOB, jobBatchIdSchema, jobIdSchema, unixMsSchema, wholeNumber } from './common.ts';
import { EXAMPLE_DRAFT, jobDraftSchema } from './job-draft.ts';
import { EXAMPLE_JOB_VIEW, jobStateSchema, jobViewSchema } from './job-views.ts';

const oneBatch = z.strictObject({ batch: jobBatchIdSchema });
const placeSchema = z
  .int()
  .min(0)
  .max(MAX_BATCH_JOBS - 1)
  .describe('Place in the batch, from 0.');
const sizeSchema = z.int().min(1).max(MAX_BATCH_JOBS).describe('Jobs that it is to have.');

const count = wholeNumber('Jobs in this state.');
// JOB_STATES names every state once.
const stateCounts = Object.fromEntries(JOB_STATES.map((state) => [state, count])) as Record<JobState, typeof count>;

const batchViewSchema = z.strictObject({
  batch: jobBatchIdSchema,
  name: z.string(),
  size: sizeSchema,
  createdAtMs: unixMsSchema,
  cancelledAtMs: unixMsSchema.nullable().describe('Set: it takes no more jobs.'),
  submitted: wholeNumber('Jobs that it has.'),
  states: z.strictObject(stateCounts),
  failures: z
    .array(z.strictObject({ code: z.string(), count: wholeNumber('Jobs.') }))
    .describe('Codes of jobs that ended without a completed result, the most frequent first.'),
  endedAtMs: unixMsSchema.nullable().describe('Set once it has all its jobs, and all of them have ended.'),
});

const EXAMPLE_BATCH = 'b-5f0c2a77d9e1b3846a20';
const EXAMPLE_BATCH_VIEW = {
  batch: EXAMPLE_BATCH,
  name: 'sweep',
  size: 10_000,
  createdAtMs: 1_790_000_000_000,
  cancelledAtMs: null,
  submitted: 10_000,
  states: {
    seeking: 0,
    running: 0,
    paused: 0,
    revealing: 0,
    completed: 9_998,
    failed: 2,
    cancelled: 0,
    expired: 0,
  },
  failures: [{ code: 'JOB_PROGRAM_TRAP', count: 2 }],
  endedAtMs: 1_790_000_012_000,
};

export const BATCH_METHODS = {
  'batch.open': {
    summary: 'Begins a batch of jobs, or goes on with it.',
    description:
      'Durable when this answers. The same call again changes nothing; with another size or digest it is an error, since it is another batch.',
    params: z.strictObject({
      batch: jobBatchIdSchema,
      name: z.string().min(1).max(200).describe('For people.'),
      size: sizeSchema,
      digest: z.string().min(1).max(128).describe('What the jobs are, as whoever submits has it.'),
    }),
    result: batchViewSchema,
    example: {
      params: { batch: EXAMPLE_BATCH, name: 'sweep', size: 10_000, digest: '5f0c2a77d9e1b3846a20' },
      result: EXAMPLE_BATCH_VIEW,
    },
  },
  'batch.submit': {
    summary: 'Submits jobs of a batch.',
    description:
      'A place that has a job keeps it, whatever the draft says: a call that was cut off may be repeated. Jobs of one replica are signed, leased and received together.',
    params: z.strictObject({
      batch: jobBatchIdSchema,
      jobs: z
        .array(z.strictObject({ index: placeSchema, draft: jobDraftSchema }))
        .min(1)
        .max(MAX_SUBMIT_MANY),
    }),
    result: z.strictObject({ jobs: z.array(jobIdSchema) }),
    example: {
      params: { batch: EXAMPLE_BATCH, jobs: [{ index: 0, draft: EXAMPLE_DRAFT }] },
      result: { jobs: [EXAMPLE_JOB] },
    },
  },
  'batch.show': {
    summary: 'Shows how the jobs of a batch stand.',
    description: 'How many of them are in which state, and why some failed.',
    params: oneBatch,
    result: batchViewSchema,
    example: { params: { batch: EXAMPLE_BATCH }, result: EXAMPLE_BATCH_VIEW },
  },
  'batch.list': {
    summary: 'Lists batches of this node, newest first.',
    description: 'Those that have ended too.',
    params: z.strictObject({ limit: z.int().min(1).max(MAX_LIST_LIMIT).describe('Most batches to answer with.') }),
    result: z.strictObject({ batches: z.array(batchViewSchema) }),
    example: { params: { limit: 10 }, result: { batches: [EXAMPLE_BATCH_VIEW] } },
  },
  'batch.jobs': {
    summary: 'Lists jobs of a batch, in order of their places.',
    description:
      'A page of them: for the next one ask from the place after the last. With `state`, only those in that state.',
    params: z.strictObject({
      batch: jobBatchIdSchema,
      fromIndex: placeSchema,
      limit: z.int().min(1).max(MAX_BATCH_PAGE).describe('Most jobs to answer with.'),
      state: jobStateSchema.exactOptional(),
    }),
    result: z.strictObject({
      jobs: z.array(
        z.strictObject({
          index: placeSchema,
          job: jobIdSchema,
          view: jobViewSchema.nullable().describe('Null: its entry in the store cannot be read.'),
        }),
      ),
    }),
    example: {
      params: { batch: EXAMPLE_BATCH, fromIndex: 0, limit: 100 },
      result: { jobs: [{ index: 0, job: EXAMPLE_JOB, view: EXAMPLE_JOB_VIEW }] },
    },
  },
  'batch.cancel': {
    summary: 'Cancels a batch.',
    description: 'It takes no more jobs, and those that have not ended are cancelled.',
    params: oneBatch,
    result: batchViewSchema,
    example: { params: { batch: EXAMPLE_BATCH }, result: EXAMPLE_BATCH_VIEW },
  },
} as const;

export const BATCH_SUBSCRIPTIONS = {
  'batch.subscribe': {
    summary: 'How the jobs of a batch stand, until it has ended.',
    description: 'At once, then up to four times a second where it has changed.',
    params: oneBatch,
    event: batchViewSchema,
    example: { params: { batch: EXAMPLE_BATCH }, event: EXAMPLE_BATCH_VIEW },
  },
} as const;
