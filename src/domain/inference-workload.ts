import { z } from 'zod';
import { blobLink, integerSchema } from './ids.ts';

/** Rows of the largest call that several items may be put together into. */
export const MAX_BATCH_ROWS = 4096;
/** Threads of one model. */
export const MAX_INFERENCE_THREADS = 64;

/**
 * An ONNX model that is called once for each item of the input (docs/inference.md). Numbers are the model's own: nothing is
 * converted.
 */
export const inferenceWorkloadSchema = z.strictObject({
  kind: z.literal('inference'),
  model: blobLink,
  modelSizeBytes: integerSchema(1),
  /** Execution provider of ONNX Runtime. */
  provider: z.enum(['cpu']),
  /** Threads of one call: another number may give other last bits. */
  threads: integerSchema(1, MAX_INFERENCE_THREADS),
  /** How far the runtime may rewrite the graph before it runs. */
  optimization: z.enum(['none', 'basic', 'extended', 'all']),
  /** Asks the runtime for kernels that do the same each time on one machine. */
  deterministic: z.boolean(),
  /** Items may be put together into calls of so many rows of the first dimension; null: each item is a call. */
  batchRows: integerSchema(2, MAX_BATCH_ROWS).nullable(),
  /** An item may be answered with what the same provider computed before, for the same requester. */
  caching: z.boolean(),
});
export type InferenceWorkload = z.output<typeof inferenceWorkloadSchema>;

/** What an attempt at `inference` did, of which nothing shows in its result. */
export const inferenceReportSchema = z.strictObject({
  items: integerSchema(0),
  /** Of `items`: answered with what an earlier attempt of this provider computed, and not computed again. */
  cachedItems: integerSchema(0),
  /** Calls of the model that items of this attempt were part of. */
  calls: integerSchema(0),
  /** Rows of the largest of them, those of other jobs of the requester included. */
  largestBatchRows: integerSchema(0),
});
export type InferenceReport = z.output<typeof inferenceReportSchema>;

/** What a report says that its job does not allow, or that cannot be; null if nothing. */
export function findReportProblem(
  workload: { readonly kind: string } | InferenceWorkload,
  { report, isCompleted }: { readonly report: InferenceReport | undefined; readonly isCompleted: boolean },
): string | null {
  if (!('caching' in workload)) return report === undefined ? null : 'it reports calls of a model, and runs none';
  if (report === undefined) return 'it does not say how its items were answered';
  const { items, cachedItems, calls } = report;
  if (cachedItems > items) return 'more items are from a cache than there are';
  if (cachedItems > 0 && !workload.caching) return 'items are from a cache, which the job does not allow';
  if (isCompleted && workload.batchRows === null && calls !== items - cachedItems) {
    return `${items - cachedItems} items were put into ${calls} calls, and the job allows no batches`;
  }
  return null;
}
