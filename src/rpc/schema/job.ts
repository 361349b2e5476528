import { z } from 'zod';
import { MAX_LIST_LIMIT, MAX_SUBMIT_MANY } from '../constants.ts';
import {
  absolutePathSchema,
  EXAMPLE_JOB,
  EXAMPLE_LEASE,
  EXAMPLE_PEER,
  jobIdSchema,
  noParamsSchema,
  wholeNumber,
} from './common.ts';
import { EXAMPLE_DRAFT, jobDraftSchema } from './job-draft.ts';
import {
  checkpointViewSchema,
  EXAMPLE_JOB_VIEW,
  jobEventSchema,
  jobExplanationSchema,
  jobRatingsSchema,
  jobStateSchema,
  jobViewSchema,
} from './job-views.ts';

const oneJob = z.strictObject({ job: jobIdSchema });

export const JOB_METHODS = {
  'job.submit': {
    summary: 'Submits a job.',
    description:
      'The job is durable when this answers. Its module and inputs must be blobs of this node already (blob.add). The same draft twice is two jobs.',
    params: z.strictObject({ draft: jobDraftSchema }),
    result: jobViewSchema,
    example: { params: { draft: EXAMPLE_DRAFT }, result: EXAMPLE_JOB_VIEW },
  },
  'job.submitMany': {
    summary: 'Submits many jobs of one replica each.',
    description: 'They are signed, leased and received together, which is much faster than one by one.',
    params: z.strictObject({ drafts: z.array(jobDraftSchema).min(1).max(MAX_SUBMIT_MANY) }),
    result: z.strictObject({ jobs: z.array(jobIdSchema) }),
    example: { params: { drafts: [EXAMPLE_DRAFT] }, result: { jobs: [EXAMPLE_JOB] } },
  },
  'job.list': {
    summary: 'Lists jobs of this node, newest first.',
    description: 'With `state`, only those in that state.',
    params: z.strictObject({
      state: jobStateSchema.exactOptional(),
      limit: z.int().min(1).max(MAX_LIST_LIMIT).describe('Most jobs to answer with.'),
    }),
    result: z.strictObject({ jobs: z.array(jobViewSchema) }),
    example: { params: { state: 'completed', limit: 10 }, result: { jobs: [EXAMPLE_JOB_VIEW] } },
  },
  'job.show': {
    summary: 'Shows one job.',
    description: 'State, attempts, and the result once there is one.',
    params: oneJob,
    result: jobViewSchema,
    example: { params: { job: EXAMPLE_JOB }, result: EXAMPLE_JOB_VIEW },
  },
  'job.explain': {
    summary: 'Says why a job waits or failed.',
    description: 'What is missing now, who was asked and what each answered, and what was announced.',
    params: oneJob,
    result: jobExplanationSchema,
    example: {
      params: { job: EXAMPLE_JOB },
      result: {
        job: EXAMPLE_JOB,
        state: 'seeking',
        summary: '1 provider was asked; none offered.',
        asked: [
          {
            provider: EXAMPLE_PEER,
            atMs: 1_790_000_000_100,
            answer: { kind: 'refused', refusal: { code: 'AT_CAPACITY', detail: '2 of 2 slots taken' } },
          },
        ],
        hints: ['Wait: it is asked again when a slot is free.'],
      },
    },
  },
  'job.cancel': {
    summary: 'Cancels a job.',
    description: 'Running attempts are stopped. A job that has ended stays as it is.',
    params: oneJob,
    result: jobViewSchema,
    example: {
      params: { job: EXAMPLE_JOB },
      result: {
        ...EXAMPLE_JOB_VIEW,
        state: 'cancelled',
        desired: 'cancel',
        result: null,
        failure: { code: 'SCHEDULER_CANCELLED', message: 'it was cancelled' },
      },
    },
  },
  'job.rate': {
    summary: 'Rates the providers of a job.',
    description:
      'Of a job with a result: all providers of the accepted result, or the one of a replica; never this node itself. Durable when it answers. Signed some minutes later, with others: until then another rating takes its place, afterwards it stays. An error more than 6 days after the attempt, and if as many ratings of a provider as count are given for that epoch.',
    params: z.strictObject({
      job: jobIdSchema,
      stars: z.int().min(1).max(5).describe('From 1 (poor) to 5 (very good).'),
      replica: z.int().min(0).nullable().default(null).describe('Null: every provider of the accepted result.'),
    }),
    result: jobRatingsSchema,
    example: {
      params: { job: EXAMPLE_JOB, stars: 5, replica: null },
      result: {
        job: EXAMPLE_JOB,
        ratings: [{ lease: EXAMPLE_LEASE, replica: 0, provider: EXAMPLE_PEER, stars: 5, replaced: null }],
        signedAtMs: 1_790_000_300_000,
      },
    },
  },
  'job.pause': {
    summary: 'Pauses a job.',
    description:
      'Its attempts end at their next checkpoint, and nothing of it runs until job.resume: it is paused once its state says so. Its deadline goes on. An error if it makes no checkpoints, was submitted in a batch, or has ended.',
    params: oneJob,
    result: jobViewSchema,
    example: {
      params: { job: EXAMPLE_JOB },
      result: { ...EXAMPLE_JOB_VIEW, state: 'running', desired: 'pause', endedAtMs: null, result: null },
    },
  },
  'job.resume': {
    summary: 'Goes on with a paused job.',
    description:
      'Each replica goes on from its newest snapshot, on whichever provider offers. As good as done if it is not paused.',
    params: oneJob,
    result: jobViewSchema,
    example: {
      params: { job: EXAMPLE_JOB },
      result: { ...EXAMPLE_JOB_VIEW, state: 'seeking', endedAtMs: null, result: null },
    },
  },
  'job.checkpoints': {
    summary: 'Lists the checkpoints of a job.',
    description: 'Of each attempt the newest 1,024, ascending by replica, attempt and step.',
    params: oneJob,
    result: z.strictObject({ checkpoints: z.array(checkpointViewSchema) }),
    example: {
      params: { job: EXAMPLE_JOB },
      result: {
        checkpoints: [
          {
            lease: EXAMPLE_LEASE,
            provider: EXAMPLE_PEER,
            replica: 0,
            step: 10,
            fuel: 1_000_000,
            atMs: 1_790_000_003_000,
            head: 'a5'.repeat(32),
            stateRoot: '3c'.repeat(32),
            snapshot: 'held',
          },
        ],
      },
    },
  },
  'job.wait': {
    summary: 'Answers when the job has ended.',
    description: 'At once if it has already. A paused job has not.',
    params: oneJob,
    result: jobViewSchema,
    example: { params: { job: EXAMPLE_JOB }, result: EXAMPLE_JOB_VIEW },
  },
  'job.writeOutputs': {
    summary: 'Writes the accepted output files under a folder.',
    description:
      'The folder is made if it is missing. Files are never overwritten: one that exists with other content is an error, and then none is written.',
    params: z.strictObject({ job: jobIdSchema, directory: absolutePathSchema }),
    result: z.strictObject({
      files: z.array(z.strictObject({ path: z.string(), sizeBytes: wholeNumber('Bytes.') })),
    }),
    example: {
      params: { job: EXAMPLE_JOB, directory: '/home/me/out' },
      result: { files: [{ path: '/home/me/out/model.bin', sizeBytes: 5_200 }] },
    },
  },
} as const;

export const JOB_SUBSCRIPTIONS = {
  'job.subscribe': {
    summary: 'The events of one job: states, attempts, checkpoints, log lines, metrics.',
    description: 'Recorded events first; with `follow`, live ones until the job ends.',
    params: z.strictObject({ job: jobIdSchema, follow: z.boolean().describe('Go on with live events.') }),
    event: jobEventSchema,
    example: {
      params: { job: EXAMPLE_JOB, follow: true },
      event: {
        kind: 'metric',
        job: EXAMPLE_JOB,
        atMs: 1_790_000_001_000,
        lease: EXAMPLE_LEASE,
        replica: 0,
        name: 'loss',
        value: '0.4375',
        step: 3,
      },
    },
  },
  'jobs.subscribe': {
    summary: 'Changes of state of all jobs of this node.',
    description: 'Sampled four times a second: of several changes in between, the last is told.',
    params: noParamsSchema,
    event: z.strictObject({ job: jobIdSchema, state: jobStateSchema }),
    example: { params: {}, event: { job: EXAMPLE_JOB, state: 'running' } },
  },
} as const;
