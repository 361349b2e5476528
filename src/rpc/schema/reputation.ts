import { z } from 'zod';
import { OBSERVED_DIMENSIONS, SUBJECT_ROLES } from '../../domain/observation.ts';
import { DIMENSIONS, TIERS } from '../../reputation/beta-model.ts';
import {
  EXAMPLE_JOB,
  EXAMPLE_LEASE,
  EXAMPLE_PEER,
  jobIdSchema,
  leaseIdSchema,
  objectIdSchema,
  peerKeySchema,
  unixMsSchema,
  wholeNumber,
} from './common.ts';

const roleSchema = z.enum(SUBJECT_ROLES).describe('What the peer was in the attempts.');
const verdictSchema = z.enum(['success', 'failure', 'none']);
const share = (description: string) => z.number().min(0).max(1).describe(description);

const scoreSchema = z.strictObject({
  lowerBound: share('Lower ends of the 95 % credible intervals, by the points of each dimension.'),
  mean: share('Means, by the points of each dimension.'),
  weight: z.number().describe('Evidence: 1 is one attempt that one token was paid for.'),
  view: wholeNumber('From 0 to 1000.'),
  tier: z.enum(TIERS),
});

const summarySchema = z.strictObject({
  subject: peerKeySchema,
  role: roleSchema,
  score: scoreSchema,
  observations: wholeNumber('Observations that are kept one by one.'),
  observers: wholeNumber('Peers that made them.'),
});

const dimensionSchema = z.strictObject({
  dimension: z.enum(DIMENSIONS as [(typeof DIMENSIONS)[number]]),
  points: wholeNumber('Of the 1000 of the view.'),
  alpha: z.number().describe('1 + weight of successes, decayed.'),
  beta: z.number().describe('1 + weight of failures, decayed.'),
  mean: share('alpha / (alpha + beta).'),
  weight: z.number().describe('Evidence beyond the prior.'),
  lowerBound: share('Lower end of the 95 % credible interval.'),
});

const reportSchema = summarySchema.extend({
  epoch: wholeNumber('The epoch that everything is decayed to.'),
  dimensions: z.array(dimensionSchema),
  foldedEpoch: wholeNumber('Newest epoch of which only sums are kept.').nullable(),
});

const outcomeSchema = z.strictObject({
  completion: verdictSchema,
  correctness: verdictSchema,
  timeliness: verdictSchema,
  availability: verdictSchema,
} satisfies Record<(typeof OBSERVED_DIMENSIONS)[number], typeof verdictSchema>);

const observationSchema = z.strictObject({
  id: objectIdSchema,
  observer: peerKeySchema,
  job: jobIdSchema,
  lease: leaseIdSchema,
  receipt: objectIdSchema.nullable(),
  outcome: outcomeSchema,
  rating: wholeNumber('From 1 to 5.').nullable(),
  observedAtMs: unixMsSchema,
  epoch: wholeNumber('The epoch of that time.'),
  weight: z.number().describe('As it was; 1 is one attempt that one token was paid for.'),
  decayedWeight: z.number().describe('As it counts now.'),
  reason: z.string().describe('Why it has this weight.'),
});

const EXAMPLE_SCORE = { lowerBound: 0.078, mean: 0.557, weight: 0.4, view: 78, tier: 'bronze' };
const EXAMPLE_SUMMARY = {
  subject: EXAMPLE_PEER,
  role: 'provider',
  score: EXAMPLE_SCORE,
  observations: 40,
  observers: 4,
};

export const REPUTATION_METHODS = {
  'reputation.show': {
    summary: 'What is known of a peer.',
    description: 'Of each dimension the posterior; with `why`, the observations behind it, newest first.',
    params: z.strictObject({
      peer: peerKeySchema.nullable().default(null).describe('Null: this node.'),
      role: roleSchema.default('provider'),
      why: z.int().min(0).max(1_000).default(0).describe('Most observations to give.'),
    }),
    result: z.strictObject({ report: reportSchema, observations: z.array(observationSchema) }),
    example: {
      params: { peer: EXAMPLE_PEER, role: 'provider', why: 1 },
      result: {
        report: {
          ...EXAMPLE_SUMMARY,
          epoch: 497_222,
          dimensions: [
            {
              dimension: 'completion',
              points: 400,
              alpha: 1.4,
              beta: 1,
              mean: 0.583,
              weight: 0.4,
              lowerBound: 0.072,
            },
          ],
          foldedEpoch: 497_053,
        },
        observations: [
          {
            id: EXAMPLE_JOB,
            observer: EXAMPLE_PEER,
            job: EXAMPLE_JOB,
            lease: EXAMPLE_LEASE,
            receipt: EXAMPLE_LEASE,
            outcome: { completion: 'success', correctness: 'none', timeliness: 'success', availability: 'success' },
            rating: null,
            observedAtMs: 1_790_000_000_000,
            epoch: 497_222,
            weight: 0.01,
            decayedWeight: 0.01,
            reason: 'nobody is known to have paid for the attempt',
          },
        ],
      },
    },
  },
  'reputation.list': {
    summary: 'Peers of whom anything is known, best first.',
    description: 'By the lower ends of their credible intervals.',
    params: z.strictObject({
      role: roleSchema.default('provider'),
      limit: z.int().min(1).max(1_000).default(100).describe('Most peers to give.'),
    }),
    result: z.strictObject({ peers: z.array(summarySchema) }),
    example: { params: { role: 'provider', limit: 10 }, result: { peers: [EXAMPLE_SUMMARY] } },
  },
} as const;
