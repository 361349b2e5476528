/** The parts of a job file that models have (docs/inference.md). */
import { z } from 'zod';
import { inferenceWorkloadSchema, MAX_BATCH_ROWS, MAX_INFERENCE_THREADS } from './inference-workload.ts';
import { fileSourceSchema } from './job-file-fields.ts';

/** Where the items of a job lie, and where the arrays that the model gives for them are put. */
export const INFERENCE_FOLDERS = { input: '/input', output: '/output' } as const;

export const inferenceWorkloadFileSchema = z.strictObject({
  kind: z.literal('inference').describe('Kind of work: inference, an ONNX model that is called for each item.'),
  model: fileSourceSchema.describe('Path of the model (.onnx), relative to this file.'),
  provider: inferenceWorkloadSchema.shape.provider
    .default('cpu')
    .describe('Execution provider of ONNX Runtime: cpu. It is the only one in this version.'),
  threads: z
    .int()
    .min(1)
    .max(MAX_INFERENCE_THREADS)
    .default(1)
    .describe('Threads of one call; another number may give other last bits.'),
  optimization: inferenceWorkloadSchema.shape.optimization
    .default('all')
    .describe('How far ONNX Runtime may rewrite the graph before it runs: none, basic, extended or all.'),
  deterministic: z
    .boolean()
    .default(true)
    .describe('true: kernels that do the same each time on one machine, where the runtime has them.'),
  batching: z
    .union([z.literal('off'), z.strictObject({ maxRows: z.int().min(2).max(MAX_BATCH_ROWS) })], {
      error: "expected 'off', or a map such as { maxRows: 32 }",
    })
    .default('off')
    .describe(
      'Whether items may be put together into one call: off, or maxRows, the most rows of the first dimension. Rows must not depend on each other; last bits may be others than of single calls.',
    ),
  caching: z
    .boolean()
    .default(false)
    .describe(
      'true: a provider may answer an item with what it computed before for you, with the same model and options; the receipt says so.',
    ),
});

interface InferenceFields {
  readonly workload: { readonly kind: string };
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly resources: { readonly fuel?: number | undefined };
  readonly checkpoints?: unknown;
}

/** What a job file of a model may not have. */
export function findInferenceProblems({ workload, inputs, resources, checkpoints }: InferenceFields) {
  const problems: { path: string[]; message: string }[] = [];
  if (workload.kind !== 'inference') return problems;
  if (resources.fuel !== undefined) {
    problems.push({ path: ['resources', 'fuel'], message: 'a model has no fuel: wallTime and threads hold it' });
  }
  if (checkpoints !== undefined && checkpoints !== 'none') {
    problems.push({ path: ['checkpoints'], message: 'a model makes no checkpoints: remove it' });
  }
  const { input } = INFERENCE_FOLDERS;
  if (Object.keys(inputs).length === 0) {
    problems.push({ path: ['inputs'], message: `a model needs items: arrays (.npy) under ${input}` });
  }
  for (const path of Object.keys(inputs)) {
    if (path === input || path.startsWith(`${input}/`)) continue;
    problems.push({ path: ['inputs', path], message: `items of a model lie under ${input}` });
  }
  return problems;
}
