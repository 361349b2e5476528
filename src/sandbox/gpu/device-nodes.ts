import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError } from '../errors.ts';
import type { GpuNode, GpuUnit } from './interface.ts';
import type { GpuPlaces } from './places.ts';
import { readSmall } from './read-driver-files.ts';

/** Every program that computes needs these: control of the driver, and unified memory. */
const SHARED_NODES = ['nvidiactl', 'nvidia-uvm'] as const;

/** Names below /dev of all that units need and nothing else. @throws SandboxError SANDBOX_GPU_UNAVAILABLE */
export async function listNodeNames(places: GpuPlaces, units: readonly GpuUnit[]): Promise<readonly string[]> {
  const own = await Promise.all(units.map((unit) => listOwnNames(places, unit)));
  return [...new Set([...SHARED_NODES, ...own.flat()])].toSorted();
}

/** Those of one unit: the GPU's own node, and of a slice the two capabilities that open it (MIG user guide, "Device Nodes"). */
export async function listOwnNames(places: GpuPlaces, { device, slice }: GpuUnit): Promise<readonly string[]> {
  if (device.minor === null) throw unavailable(`the driver does not say which device node ${device.uuid} has`);
  const names = [`nvidia${device.minor}`];
  if (slice === null) return names;
  const folder = join(places.proc, `driver/nvidia/capabilities/gpu${device.minor}/mig/gi${slice.gpuInstance}`);
  const files = [join(folder, 'access'), join(folder, `ci${slice.computeInstance}`, 'access')];
  const minors = await Promise.all(files.map(readCapability));
  return [...names, ...minors.map((minor) => `nvidia-caps/nvidia-cap${minor}`)];
}

async function readCapability(file: string): Promise<string> {
  const minor = /^DeviceFileMinor:\s*([0-9]{1,7})$/m.exec((await readSmall(file)) ?? '')?.[1];
  if (minor === undefined) throw unavailable(`${file} does not name the capability of a slice`);
  return minor;
}

/** @throws SandboxError SANDBOX_GPU_UNAVAILABLE if it is not there, or no character device */
export async function openNode({ dev }: Pick<GpuPlaces, 'dev'>, name: string): Promise<GpuNode> {
  const path = join(dev, name);
  try {
    const hostPath = await realpath(path);
    const found = await stat(hostPath);
    if (!found.isCharacterDevice()) throw unavailable(`${path} is no device`);
    return { hostPath, path: `/dev/${name}`, ...splitNumber(found.rdev) };
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw unavailable(`${path} is not there: \`nvidia-modprobe -u -c=0\` makes it`, error);
  }
}

/** As glibc's makedev joins them (sys/sysmacros.h). */
function splitNumber(rdev: number): { readonly major: number; readonly minor: number } {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

export function unavailable(reason: string, cause?: unknown): SandboxError {
  return new SandboxError({ code: 'SANDBOX_GPU_UNAVAILABLE', reason }, { cause });
}
