import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gpuUuidSchema } from '../../domain/gpu.ts';
import type { GpuDevice, GpuSnapshot } from './interface.ts';
import type { GpuPlaces } from './places.ts';

const MAX_FILE_CHARS = 64 * 1024;
const MAX_DEVICES = 64;
/** PCI vendor id of NVIDIA, and what display controllers begin with (PCI Code and ID Assignment Specification). */
const NVIDIA_VENDOR = '0x10de';
const DISPLAY_CLASS = '0x03';

/** What a file of the kernel says; null where it cannot be read. */
export async function readSmall(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').then(
    (text) => text.slice(0, MAX_FILE_CHARS),
    () => null,
  );
}

/**
 * Version of the kernel module that is loaded: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  …", or, of the
 * open one, "… NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  …". Null where none is.
 */
export async function readModuleVersion({ proc }: Pick<GpuPlaces, 'proc'>): Promise<string | null> {
  const text = await readSmall(join(proc, 'driver/nvidia/version'));
  return /^NVRM version:.{0,80}?\s([0-9]{3}\.[0-9]{1,3}(?:\.[0-9]{1,3})?)\s/m.exec(text ?? '')?.[1] ?? null;
}

/** PCI addresses of NVIDIA's display controllers, with a driver or without. */
export async function listNvidiaBuses({ sys }: Pick<GpuPlaces, 'sys'>): Promise<readonly string[]> {
  const folder = join(sys, 'bus/pci/devices');
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      const [vendor, kind] = await Promise.all([
        readSmall(join(folder, name, 'vendor')),
        readSmall(join(folder, name, 'class')),
      ]);
      return vendor?.trim() === NVIDIA_VENDOR && kind?.startsWith(DISPLAY_CLASS) === true ? [name] : [];
    }),
  );
  return found.flat().toSorted();
}

/** What the kernel says where the driver's tool does not: which GPUs there are, and no more. */
export async function readDriverFiles(places: GpuPlaces): Promise<Pick<GpuSnapshot, 'driver' | 'devices' | 'untold'>> {
  const folder = join(places.proc, 'driver/nvidia/gpus');
  const buses = (await readdir(folder).catch((): string[] => [])).toSorted().slice(0, MAX_DEVICES);
  const read = await Promise.all(buses.map((bus) => readInformation(folder, bus)));
  return {
    driver: await readModuleVersion(places),
    devices: read.filter((device) => device !== null),
    untold: [
      'memory',
      'processes',
      'utilisation',
      'compute mode',
      'ECC',
      'MIG',
      'confidential computing',
      'CUDA version',
    ],
  };
}

async function readInformation(folder: string, bus: string): Promise<GpuDevice | null> {
  const text = await readSmall(join(folder, bus, 'information'));
  if (text === null || !/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(bus)) return null;
  const fields = new Map(
    text.split('\n').map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, Math.max(0, at)).trim(), line.slice(at + 1).trim()] as const;
    }),
  );
  const uuid = fields.get('GPU UUID') ?? '';
  const minor = fields.get('Device Minor') ?? '';
  const isExcluded = fields.get('GPU Excluded') === 'Yes' || fields.get('Blacklisted') === 'Yes';
  if (isExcluded || !gpuUuidSchema.safeParse(uuid).success) return null;
  return {
    uuid,
    model: (fields.get('Model') ?? 'unknown').slice(0, 100),
    bus,
    minor: /^[0-9]{1,3}$/.test(minor) ? Number(minor) : null,
    memoryBytes: null,
    usedBytes: null,
    utilisation: null,
    computeMode: null,
    hasEcc: null,
    uncorrectedErrors: null,
    isPersistent: null,
    mig: null,
    slices: [],
    processes: null,
    faults: [],
  };
}
