import { areGpusWanted, type GpuRequest, isGpuWanted } from '../../domain/gpu.ts';
import { formatSize } from '../../lib/quantity.ts';
import type { GpuDevice, GpuSlice, GpuSnapshot, GpuUnit } from './interface.ts';

/** What the operator says of GPUs. */
export interface UnitRules {
  /** Whether GPUs that draw a desktop are lent as well. */
  readonly sharedWithDesktop: boolean;
  /** UUIDs that may be lent; empty: all. Of slices, their own or that of their GPU. */
  readonly only: readonly string[];
}

/** More memory in use than this, and no process to be seen, is somebody's whom this process cannot see. */
const UNSEEN_USE_BYTES = 2 ** 30;

/** Whole GPUs, and the slices of those that are cut. */
export function listUnits(snapshot: GpuSnapshot, rules: UnitRules): readonly GpuUnit[] {
  const units = snapshot.devices.flatMap((device) => {
    if (device.mig !== 'on') return [describeUnit({ snapshot, device, slice: null }, rules)];
    return device.slices.map((slice) => describeUnit({ snapshot, device, slice }, rules));
  });
  const { only } = rules;
  return only.length === 0
    ? units
    : units.filter(({ uuid, device }) => only.includes(uuid) || only.includes(device.uuid));
}

interface Candidate {
  readonly snapshot: GpuSnapshot;
  readonly device: GpuDevice;
  readonly slice: GpuSlice | null;
}

function describeUnit(candidate: Candidate, rules: UnitRules): GpuUnit {
  const { device, slice } = candidate;
  return {
    // A slice that was not named cannot be given; its obstacle says so.
    uuid: slice === null ? device.uuid : (slice.uuid ?? `MIG-unknown-${slice.gpuInstance}-${slice.computeInstance}`),
    model: device.model,
    memoryBytes: (slice ?? device).memoryBytes ?? 0,
    mig: slice?.profile ?? null,
    device,
    slice,
    obstacle: findObstacle(candidate, rules),
  };
}

/** Unknown is not free: what the source cannot tell is an obstacle too. */
function findObstacle({ snapshot, device, slice }: Candidate, rules: UnitRules): string | null {
  if (snapshot.source !== 'nvidia-smi')
    return `nobody can say whether it is in use (${snapshot.reason ?? 'no nvidia-smi'})`;
  const [fault] = device.faults;
  if (fault !== undefined) return `the driver answers with an error (${fault})`;
  if (device.computeMode === 'prohibited') return 'its compute mode is Prohibited';
  if (device.mig === 'pending') return 'its MIG mode changes with the next reset';
  if (device.minor === null) return 'the driver does not say which device node it has';
  if (slice !== null && (slice.uuid === null || slice.profile === null)) return 'nvidia-smi -L does not name the slice';
  if ((slice ?? device).memoryBytes === null) return 'the driver does not say how much memory it has';
  return findUse({ device, slice }, rules);
}

function findUse({ device, slice }: Omit<Candidate, 'snapshot'>, { sharedWithDesktop }: UnitRules): string | null {
  if (device.processes === null) return 'the driver does not say which processes are on it';
  const here = device.processes.filter(
    ({ gpuInstance }) => slice === null || gpuInstance === null || gpuInstance === slice.gpuInstance,
  );
  const user = here.find(({ isCompute }) => isCompute || !sharedWithDesktop);
  if (user !== undefined) return `process ${user.pid} ${user.isCompute ? 'computes' : 'draws'} on it`;
  const usedBytes = (slice ?? device).usedBytes ?? 0;
  const isUnseen = here.length === 0 && usedBytes > UNSEEN_USE_BYTES;
  return isUnseen ? `${formatSize(usedBytes)} of it are in use by processes that cannot be seen from here` : null;
}

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
