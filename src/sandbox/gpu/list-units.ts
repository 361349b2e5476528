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
