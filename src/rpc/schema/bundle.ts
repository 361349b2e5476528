import { z } from 'zod';
import { absolutePathSchema, EXAMPLE_JOB, jobIdSchema, wholeNumber } from './common.ts';

/** A day. */
const MAX_ANCHOR_WAIT_MS = 86_400_000;

export const BUNDLE_METHODS = {
  'bundle.export': {
    summary: 'Writes the evidence bundle of a finished job to a file.',
    description:
      'The file is written whole or not at all. `verdict` is what verifying it on this machine gives; anybody can repeat that.',
    params: z.strictObject({
      job: jobIdSchema,
      path: absolutePathSchema,
      format: z.enum(['bundle', 'in-toto']).describe('bundle: CARv1; in-toto: a Statement in a DSSE envelope.'),
      content: z
        .enum(['evidence', 'outputs', 'everything'])
        .describe('Signed objects only, with the output blobs, or with the inputs and the module too.'),
      snapshots: z
        .enum(['none', 'last', 'all'])
        .optional()
        .describe(
          "Snapshots that this node holds: the newest of each replica, or all, for `job replay`. They are unsealed: whoever has the file can read the program's state. By default none.",
        ),
      waitForAnchorMs: z
        .int()
        .min(0)
        .max(MAX_ANCHOR_WAIT_MS)
        .optional()
        .describe('Milliseconds to wait until all receipts are anchored; what is not by then is exported without.'),
    }),
    result: z.strictObject({
      path: z.string(),
      sizeBytes: wholeNumber('Bytes.'),
      verdict: z.enum(['valid', 'invalid', 'unchecked']),
      receipts: wholeNumber('Receipts that pass their checks.'),
      anchored: wholeNumber('How many of them have an anchor in the file.'),
      waitingInBatches: z
        .array(wholeNumber('Number of a batch, as `anchor.list` gives it.'))
        .describe('Where others of them wait to be anchored.'),
      snapshots: wholeNumber('Snapshots in the file.'),
    }),
    example: {
      params: { job: EXAMPLE_JOB, path: '/home/me/result.bundle', format: 'bundle', content: 'outputs' },
      result: {
        path: '/home/me/result.bundle',
        sizeBytes: 18_432,
        verdict: 'valid',
        receipts: 3,
        anchored: 2,
        waitingInBatches: [7],
        snapshots: 0,
      },
    },
  },
} as const;
