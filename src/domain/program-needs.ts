/** What a native program takes besides `resources`, as far as a provider has to know before it answers. */
import { z } from 'zod';
import { commandLimitsSchema, type Workload } from './job.ts';

export const programNeedsSchema = commandLimitsSchema.extend({
  /** It runs the system folders of whichever provider takes it. */
  hostRoot: z.literal(true).optional(),
});
export type ProgramNeeds = z.output<typeof programNeedsSchema>;

/** Null of a module: what it takes is in `resources` alone. */
export function findNeeds(workload: Workload): ProgramNeeds | null {
  if (workload.kind === 'wasm') return null;
  const { limits, root } = workload;
  return root.kind === 'host' ? { ...limits, hostRoot: true } : limits;
}

/** Whether what was said covers what is needed; what was never said covers nothing. */
export function coversNeeds(said: ProgramNeeds | undefined, needed: ProgramNeeds | null): boolean {
  if (needed === null) return true;
  if (said === undefined) return false;
  const isWithin = (['cpus', 'processes', 'scratchBytes'] as const).every((name) => needed[name] <= said[name]);
  return isWithin && (needed.hostRoot !== true || said.hostRoot === true);
}
