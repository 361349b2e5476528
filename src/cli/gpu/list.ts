import { z } from 'zod';
import { findGpuClass, findGpuModelKey } from '../../domain/gpu.ts';
import { formatSize } from '../../lib/quantity.ts';
import { detectGpus } from '../../sandbox/gpu/detect-gpus.ts';
import type { GpuSnapshot, GpuUnit } from '../../sandbox/gpu/interface.ts';
import { listUnits } from '../../sandbox/gpu/list-units.ts';
import { findGpuPlaces } from '../../sandbox/gpu/places.ts';
import { DriverTools } from '../../sandbox/gpu/run-tool.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { type CliOutput, defineCommand } from '../interface.ts';

export const gpuList = defineCommand({
  name: 'gpu list',
  summary: 'list the GPUs of this machine, and what jobs could have of them',
  details:
    'Asks nvidia-smi, else the kernel, which cannot tell whether a GPU is in use. Says of each GPU, or slice of one (MIG), whether it is free. Needs no daemon: a GPU that a job of this node has is shown as used by its process.',
  arguments: [],
  options: z.strictObject({
    desktop: z
      .boolean()
      .default(false)
      .describe('count GPUs that draw a desktop as free (provide.gpus.sharedWithDesktop)'),
  }),
  examples: [
    { line: 'fogproof gpu list', does: 'Show what this machine could lend.' },
    { line: 'fogproof gpu list --json', does: 'The same for programs, with UUIDs, processes and errors.' },
  ],
  run: async ({ options }, context) => {
    const modules = { places: findGpuPlaces(), tools: new DriverTools() };
    const snapshot = await detectGpus(modules, { signal: context.signal, asksConfidential: true });
    const units = listUnits(snapshot, { sharedWithDesktop: options.desktop, only: [] });
    context.output.result(describeResult(snapshot, units), () => renderGpus(snapshot, units, context.output));
    return EXIT_CODES.ok;
  },
});

function describeResult(snapshot: GpuSnapshot, units: readonly GpuUnit[]) {
  const lendable = units.map(({ uuid, model, memoryBytes, mig, obstacle }) => {
    const modelKey = findGpuModelKey(model);
    return { uuid, model, modelKey, capabilityClass: findGpuClass(modelKey), memoryBytes, mig, obstacle };
  });
  return { ...snapshot, units: lendable };
}

export function renderGpus(
  { driver, cuda, confidential, source, reason, untold, devices }: GpuSnapshot,
  units: readonly GpuUnit[],
  output: Pick<CliOutput, 'table'>,
): string[] {
  const remarks = [
    ...(reason === null ? [] : [reason]),
    ...(untold.length === 0 || source === 'none' ? [] : [`not told: ${untold.join(', ')}`]),
    ...(confidential === null ? [] : [`confidential computing: ${confidential}`]),
  ];
  if (devices.length === 0) return ['no NVIDIA GPU found', ...remarks];
  const rows = units.map((unit) => {
    const { uuid, model, mig, memoryBytes, device, obstacle } = unit;
    const key = findGpuModelKey(model);
    const size = memoryBytes === 0 ? 'unknown' : formatSize(memoryBytes);
    return [
      device.bus,
      mig === null ? model : `${model}, ${mig}`,
      size,
      `${findGpuClass(key)} ${key ?? ''}`.trim(),
      obstacle ?? 'free',
      uuid,
    ];
  });
  return [
    `driver ${driver ?? 'unknown'}, CUDA ${cuda ?? 'unknown'}`,
    '',
    ...output.table(['bus', 'model', 'memory', 'class and model of jobs', 'state', 'UUID'], rows),
    ...(rows.length < devices.length ? ['', 'a GPU in MIG mode without slices lends nothing'] : []),
    ...(remarks.length === 0 ? [] : ['', ...remarks]),
  ];
}
