/** What a native program takes besides `resources`, as far as a provider has to know before it answers. */
import { z } from 'zod';
import { egressSchema } from './egress.ts';
import { commandLimitsSchema, type Workload } from './job.ts';

export const programNeedsSchema = commandLimitsSchema.extend({
  /** It runs the system folders of whichever provider takes it. */
  hostRoot: z.literal(true).optional(),
  /** Hosts that it connects to. */
  hosts: egressSchema.shape.hosts.optional(),
});
export type ProgramNeeds = z.output<typeof programNeedsSchema>;

/** Null of a module and of a model: what it takes is in `resources` alone. */
export function findNeeds(workload: Workload): ProgramNeeds | null {
  if (workload.kind === 'wasm' || workload.kind === 'inference') return null;
  if (workload.kind === 'container') return workload.limits;
  const { limits, root, network } = workload;
  const host = root.kind === 'host' ? { hostRoot: true as const } : {};
  return { ...limits, ...host, ...(network === undefined ? {} : { hosts: network.hosts }) };
}

/** Whether what was said covers what is needed; what was never said covers nothing. */
export function coversNeeds(said: ProgramNeeds | undefined, needed: ProgramNeeds | null): boolean {
  if (needed === null) return true;
  if (said === undefined) return false;
  const isWithin = (['cpus', 'processes', 'scratchBytes'] as const).every((name) => needed[name] <= said[name]);
  const areHostsSaid = (needed.hosts ?? []).every((host) => said.hosts?.includes(host) === true);
  return isWithin && areHostsSaid && (needed.hostRoot !== true || said.hostRoot === true);
}
