import { basename, join } from 'node:path';
import type { AbortOptions } from '../../lib/abort.ts';
import { readCdiSpecs } from './cdi.ts';
import { planFromCdi } from './cdi-plan.ts';
import { listNodeNames, openNode, unavailable } from './device-nodes.ts';
import { listDriverLibraries, matchLibraries } from './driver-libraries.ts';
import type { GpuPlan, GpuUnit } from './interface.ts';
import type { GpuPlaces } from './places.ts';
import { readModuleVersion, readSmall } from './read-driver-files.ts';
import type { DriverTools } from './run-tool.ts';

export interface PlanModules {
  readonly places: GpuPlaces;
  readonly tools: DriverTools;
}

/**
 * What a sandbox is given for these units: nodes are always those of the units and what all need, taken from this host;
 * libraries and the rest are those of a CDI spec of the driver that is loaded, else those of the loader's cache.
 * @throws SandboxError SANDBOX_GPU_UNAVAILABLE, SANDBOX_GPU_DRIVER_MISMATCH, SANDBOX_GPU_CDI_REFUSED; AbortError
 */
export async function createPlan(
  { places, tools }: PlanModules,
  units: readonly GpuUnit[],
  options: AbortOptions = {},
): Promise<GpuPlan> {
  const driver = await readModuleVersion(places);
  if (driver === null) throw unavailable("the driver's module is not loaded (/proc/driver/nvidia/version)");
  const names = await listNodeNames(places, units);
  const nodes = await Promise.all(names.map((name) => openNode(places, name)));
  const cdi = await planFromCdi({ places, readings: await readCdiSpecs(places.cdi) }, units, driver);
  const common = {
    grants: units.map(({ uuid, model, memoryBytes, mig }) => ({ uuid, model, memoryBytes, mig })),
    nodes,
    proc: await listVisible(places, units),
  };
  if (cdi.kind === 'plan') {
    const { environment, ...mounts } = cdi.mounts;
    return { ...common, ...mounts, source: cdi.file, environment: { ...environment, ...chooseDevices(units) } };
  }
  const matched = await matchLibraries(await listDriverLibraries({ places, tools }, options), driver);
  const { nvidiaSmi } = places;
  const programs = nvidiaSmi === null ? [] : [{ hostPath: nvidiaSmi, path: nvidiaSmi, aliases: [basename(nvidiaSmi)] }];
  return {
    ...common,
    source: 'device nodes',
    libraries: matched.libraries,
    programs,
    files: [],
    environment: { NVIDIA_DRIVER_CAPABILITIES: 'compute,utility', ...chooseDevices(units) },
    remarks: [...cdi.remarks, ...matched.remarks],
  };
}

/**
 * Nodes are what holds a program; these say which of the GPUs to use, since with slices the whole GPU's node is there too.
 * `void` keeps container runtimes with NVIDIA's older hook from adding devices of their own choice.
 */
function chooseDevices(units: readonly GpuUnit[]): Readonly<Record<string, string>> {
  return {
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    CUDA_VISIBLE_DEVICES: units.map(({ uuid }) => uuid).join(','),
    NVIDIA_VISIBLE_DEVICES: 'void',
  };
}

/** /proc/driver/nvidia is the same in every namespace, and tells of every GPU. */
async function listVisible({ proc }: GpuPlaces, units: readonly GpuUnit[]): Promise<GpuPlan['proc']> {
  const folder = join(proc, 'driver/nvidia');
  const buses = new Set(units.map(({ device }) => device.bus));
  const files = ['version', 'params', ...[...buses].map((bus) => `gpus/${bus}/information`)];
  const read = await Promise.all(files.map((file) => readSmall(join(folder, file))));
  return { folder, visible: files.filter((_, index) => read[index] !== null) };
}
