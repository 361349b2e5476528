/** GPUs as jobs ask for them, offers promise them and receipts name them (docs/gpu.md). */
import { z } from 'zod';
import type { CapabilityClass } from './capability.ts';
import { integerSchema } from './ids.ts';

/** Most GPUs, or slices of them, of one attempt. */
export const MAX_GPUS = 16;
/** Most models that a request may name. */
export const MAX_GPU_MODELS = 8;

/** A model as `findGpuModelKey` names it, such as `h100` or `rtx-4090`. */
export const gpuModelKeySchema = z
  .string()
  .max(40)
  .regex(/^[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,5}$/, 'expected a model such as h100 or rtx-4090');

/** NVIDIA's name of a slice: compute slices if fewer than all, GPU slices, memory, attributes. */
export const migProfileSchema = z
  .string()
  .max(32)
  .regex(/^([1-7]c\.)?[1-7]g\.[0-9]{1,3}gb([+-][a-z]{1,8}(\.[a-z]{1,8})?){0,2}$/, 'expected a profile such as 1g.10gb');

export const gpuRequestSchema = z.strictObject({
  count: integerSchema(1, MAX_GPUS),
  /** Of each. */
  minMemoryBytes: integerSchema(),
  /** Any of these; empty: whatever there is. */
  models: z.array(gpuModelKeySchema).max(MAX_GPU_MODELS),
  /** Slices of this profile; null: whole GPUs. */
  mig: migProfileSchema.nullable(),
});
export type GpuRequest = z.output<typeof gpuRequestSchema>;

/** What an offer holds for one attempt. Which one of a kind it will be stands in the receipt. */
export const offeredGpuSchema = z.strictObject({
  model: z.string().min(1).max(100),
  memoryBytes: integerSchema(),
  /** Null: the whole GPU. */
  mig: migProfileSchema.nullable(),
});
export type OfferedGpu = z.output<typeof offeredGpuSchema>;

/** Of a GPU or of a slice, as the driver gives it. Before driver 470 slices were MIG-GPU-uuid/i/j. */
export const gpuUuidSchema = z
  .string()
  .max(100)
  .regex(/^(GPU|MIG)-[0-9A-Za-z-]{8,60}(\/[0-9]{1,3}\/[0-9]{1,3})?$/);

export const grantedGpuSchema = z.strictObject({ uuid: gpuUuidSchema, ...offeredGpuSchema.shape });
export type GrantedGpu = z.output<typeof grantedGpuSchema>;

/** Words of a product's name that say nothing of which chip it is. */
const PLAIN_WORDS = /^(nvidia|geforce|tesla|gpu|generation|pcie|nvl|sxm[0-9]?|hbm[0-9]?[a-z]?|mig|[0-9]+gb)$/;

/** Chips that are sold for datacentres alone: A100, H100, L40S, V100, GH200 and the like, but no RTX or Quadro. */
const DATACENTRE_KEY = /^(gb|gh|[abhklmptv])[0-9]{1,3}[a-z]?$/;

/** Short name of a model: `h100` of "NVIDIA H100 80GB HBM3", `rtx-4090` of "NVIDIA GeForce RTX 4090"; null if none is left. */
export function findGpuModelKey(productName: string): string | null {
  const words = productName.toLowerCase().split(/[^a-z0-9]+/);
  const key = words.filter((word) => word !== '' && !PLAIN_WORDS.test(word)).join('-');
  return gpuModelKeySchema.safeParse(key).success ? key : null;
}

/** The narrowest class that a GPU belongs to; those of datacentres serve jobs of both. */
export function findGpuClass(modelKey: string | null): Extract<CapabilityClass, `gpu-${string}`> {
  return modelKey !== null && DATACENTRE_KEY.test(modelKey) ? 'gpu-datacentre' : 'gpu-consumer';
}

/** The narrowest class that a request needs: slices, and models that are all of datacentres, are `gpu-datacentre`. */
export function findRequestClass({ models, mig }: GpuRequest): Extract<CapabilityClass, `gpu-${string}`> {
  const areDatacentre = models.length > 0 && models.every((model) => findGpuClass(model) === 'gpu-datacentre');
  return mig !== null || areDatacentre ? 'gpu-datacentre' : 'gpu-consumer';
}

/** Whether one GPU or slice is of what is asked for. */
export function isGpuWanted(request: Omit<GpuRequest, 'count'>, gpu: OfferedGpu): boolean {
  const key = findGpuModelKey(gpu.model);
  const isModel = request.models.length === 0 || (key !== null && request.models.includes(key));
  return isModel && gpu.mig === request.mig && gpu.memoryBytes >= request.minMemoryBytes;
}

/** Whether GPUs are as many as asked for and all of them wanted; nothing asked for, nothing given. */
export function areGpusWanted(request: GpuRequest | undefined, gpus: readonly OfferedGpu[] | undefined): boolean {
  if (request === undefined || gpus === undefined) return request === undefined && gpus === undefined;
  return gpus.length === request.count && gpus.every((gpu) => isGpuWanted(request, gpu));
}

/** Whether a job's request is within that of the terms which its offer was made for. */
export function isGpuRequestCovered(asked: GpuRequest | undefined, terms: GpuRequest | undefined): boolean {
  if (asked === undefined || terms === undefined) return asked === undefined && terms === undefined;
  return (
    asked.count === terms.count &&
    asked.mig === terms.mig &&
    asked.minMemoryBytes <= terms.minMemoryBytes &&
    asked.models.join() === terms.models.join()
  );
}
