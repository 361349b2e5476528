import { areGpusWanted, type GpuRequest, isGpuWanted } from '../../../domain/gpu.ts';
import type { GpuUnit } from '../../../sandbox/gpu/interface.ts';

/**
 * The units for a request: all of one model, the smallest that will do, in the order of the driver. Null if there are not
 * as many free. @param held UUIDs that are leased or promised
 */
export function chooseUnits(
  request: GpuRequest,
  units: readonly GpuUnit[],
  held: ReadonlySet<string>,
): readonly GpuUnit[] | null {
  const free = units.filter((unit) => unit.obstacle === null && isGpuWanted(request, unit) && !isHeld(unit, held));
  const kinds = Map.groupBy(free, ({ model, memoryBytes }) => `${model}/${memoryBytes}`);
  const [kind] = [...kinds.values()]
    .filter((group) => group.length >= request.count)
    .toSorted((a, b) => (a[0]?.memoryBytes ?? 0) - (b[0]?.memoryBytes ?? 0));
  const chosen = kind?.slice(0, request.count) ?? null;
  return chosen !== null && areGpusWanted(request, chosen) ? chosen : null;
}

/** Leased itself, or as part of what was leased before the GPU was cut or joined. */
export function isHeld({ uuid, device, slice }: GpuUnit, held: ReadonlySet<string>): boolean {
  if (held.has(uuid) || (slice !== null && held.has(device.uuid))) return true;
  return slice === null && device.slices.some((part) => part.uuid !== null && held.has(part.uuid));
}

/** Why `chooseUnits` found too few, in figures. */
export function describeLack(request: GpuRequest, units: readonly GpuUnit[], held: ReadonlySet<string>): string {
  const wanted = units.filter((unit) => isGpuWanted(request, unit));
  const what = request.mig === null ? 'GPUs' : `slices ${request.mig}`;
  if (wanted.length === 0) return `${request.count} asked for, it has none of such ${what}`;
  const leased = wanted.filter((unit) => isHeld(unit, held)).length;
  const obstacle = wanted.find((unit) => !isHeld(unit, held) && unit.obstacle !== null)?.obstacle;
  const others = obstacle === undefined ? '' : `; of another one: ${obstacle}`;
  return `${request.count} of one model asked for; of ${wanted.length} such ${what} ${leased} are leased or promised${others}`;
}
