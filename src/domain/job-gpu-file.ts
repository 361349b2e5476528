/** The part of a job file that asks for GPUs (docs/gpu.md). */
import { z } from 'zod';
import { type GpuRequest, gpuModelKeySchema, MAX_GPU_MODELS, MAX_GPUS, migProfileSchema } from './gpu.ts';
import { sizeSchema } from './job-file-fields.ts';

const countSchema = z
  .int()
  .min(1)
  .max(MAX_GPUS)
  .describe(`How many, all on one machine: a whole number from 1 to ${MAX_GPUS}.`);

const gpuRequestFileSchema = z.strictObject({
  count: countSchema.default(1),
  memory: sizeSchema({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
    .prefault(0)
    .describe('Least memory of each: bytes, or a number with KiB, MiB, GiB (or KB, MB, GB).'),
  models: z
    .array(gpuModelKeySchema)
    .max(MAX_GPU_MODELS)
    .default([])
    .describe('Models that will do, such as h100, a100 or rtx-4090; absent: any.'),
  mig: migProfileSchema.optional().describe('Profile of slices of a GPU (MIG), such as 1g.10gb; absent: whole GPUs.'),
});

export const gpusFileSchema = z
  .union([countSchema, gpuRequestFileSchema], {
    error: 'expected how many, such as 1, or a map such as { count: 1, memory: 24GiB, models: [a100, h100] }',
  })
  .optional()
  .describe(
    'NVIDIA GPUs that the job has for itself while it runs: how many, or a map of count, memory, models, mig. Absent: none.',
  );
type GpusFile = z.output<typeof gpusFileSchema>;

/** The request as the job holds it; undefined where the file asks for none. */
export function resolveGpus(gpus: GpusFile): GpuRequest | undefined {
  if (gpus === undefined) return undefined;
  if (typeof gpus === 'number') return { count: gpus, minMemoryBytes: 0, models: [], mig: null };
  return { count: gpus.count, minMemoryBytes: gpus.memory, models: gpus.models, mig: gpus.mig ?? null };
}

interface GpuFields {
  readonly workload: { readonly kind: string };
  readonly resources: { readonly gpus?: GpusFile };
  readonly capabilityClass?: string | undefined;
  readonly batch?: unknown;
}

/** What a job file that asks for GPUs cannot have. */
export function findGpuProblems({ workload, resources, capabilityClass, batch }: GpuFields) {
  const problems: { path: string[]; message: string }[] = [];
  if (resources.gpus === undefined) return problems;
  const path = ['resources', 'gpus'];
  if (workload.kind === 'wasm') {
    problems.push({ path, message: 'a module has no use for GPUs: they are for programs (kind: command)' });
  }
  if (batch !== undefined) {
    problems.push({ path: ['batch'], message: 'jobs with GPUs are submitted one by one: remove it' });
  }
  if (capabilityClass === 'cpu') {
    const message = 'providers of the class cpu need have no GPU: remove it, or name gpu-consumer or gpu-datacentre';
    problems.push({ path: ['capabilityClass'], message });
  }
  return problems;
}
