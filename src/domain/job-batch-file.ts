/** The part of a job file that makes many jobs of it (docs/job-spec.md, «Batches»). */
import { z } from 'zod';
import { MAX_BATCH_JOBS } from './job-batch.ts';

/** Variables that every job of a batch has: its place in the batch, and which repetition of its row it is, from 0. */
export const BUILT_IN_VARIABLES = ['index', 'repeat'] as const;
/** Most variables of one job. */
export const MAX_VARIABLES = 256;
/** Longest value of a variable, characters. */
export const MAX_VARIABLE_LENGTH = 4096;

const VARIABLE_NAME = '[A-Za-z_][A-Za-z0-9_]{0,63}';
/** `$${` is a plain `${`. */
export const PLACEHOLDER_PATTERN = new RegExp(String.raw`\$?\$\{(${VARIABLE_NAME})\}`, 'g');
/** A seed that is filled in for each job. */
export const TEMPLATE_SEED_PATTERN = new RegExp(String.raw`^[^$]*\$\{${VARIABLE_NAME}\}`);

export const variableNameSchema = z
  .string()
  .regex(new RegExp(`^${VARIABLE_NAME}$`), 'expected the name of a variable: letters, digits and _')
  .refine((name) => !BUILT_IN_VARIABLES.some((known) => known === name), 'is the name of a variable that there is');
export const variableValueSchema = z.union([z.string().max(MAX_VARIABLE_LENGTH), z.number(), z.boolean()], {
  error: 'expected text, a number, or true or false',
});

export const batchSectionSchema = z
  .strictObject({
    count: z
      .int()
      .min(1)
      .max(MAX_BATCH_JOBS)
      .optional()
      .describe(
        'How many jobs, or how often each row of variables: a whole number. ${index} and ${repeat} tell them apart.',
      ),
    each: z
      .array(z.record(variableNameSchema, variableValueSchema))
      .min(1)
      .max(MAX_BATCH_JOBS)
      .optional()
      .describe('Variables, a map for each job, such as [{ rate: 0.1 }, { rate: 0.2 }]; used as ${rate}.'),
    from: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'File of variables, relative to this file: .csv (its first line names them) or .jsonl (a JSON object a line).',
      ),
  })
  .refine(({ count, each, from }) => count !== undefined || each !== undefined || from !== undefined, {
    error: 'a batch needs count, each or from',
  })
  .refine(({ each, from }) => each === undefined || from === undefined, {
    error: 'each and from exclude each other',
  });
