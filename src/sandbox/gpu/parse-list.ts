import { gpuUuidSchema, migProfileSchema } from '../../domain/gpu.ts';
import type { GpuDevice } from './interface.ts';

/** A slice in the order of `nvidia-smi -L`, which is that of the slices in `nvidia-smi -q -x`. */
export interface ListedSlice {
  readonly uuid: string;
  readonly profile: string;
}

const GPU_LINE = /^GPU [0-9]{1,3}: .{0,200}\(UUID: (GPU-[^)\s]{1,80})\)$/;
const SLICE_LINE = /^ {2}MIG (\S{1,32})\s+Device\s+([0-9]{1,3}): \(UUID: (MIG-[^)\s]{1,90})\)$/;

/** Slices of each GPU, by its UUID. Lines of another form are passed over. */
export function parseSliceList(output: string): ReadonlyMap<string, readonly ListedSlice[]> {
  const byGpu = new Map<string, ListedSlice[]>();
  let slices: ListedSlice[] | undefined;
  for (const line of output.slice(0, 256 * 1024).split('\n')) {
    const gpu = GPU_LINE.exec(line.trimEnd())?.[1];
    if (gpu !== undefined) {
      slices = [];
      byGpu.set(gpu, slices);
      continue;
    }
    const [, profile, index, uuid] = SLICE_LINE.exec(line.trimEnd()) ?? [];
    if (profile === undefined || uuid === undefined || Number(index) !== slices?.length) continue;
    if (!gpuUuidSchema.safeParse(uuid).success || !migProfileSchema.safeParse(profile).success) continue;
    slices.push({ uuid, profile });
  }
  return byGpu;
}

/** Slices with their UUIDs and profiles, if both tools count the same; as they were otherwise. */
export function nameSlices(device: GpuDevice, listed: ReadonlyMap<string, readonly ListedSlice[]>): GpuDevice {
  const names = listed.get(device.uuid) ?? [];
  if (names.length !== device.slices.length) return device;
  return { ...device, slices: device.slices.map((slice, index) => ({ ...slice, ...names[index] })) };
}
