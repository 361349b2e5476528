import { InternalError } from '../../../lib/errors.ts';
import type { GpuSource } from '../../../sandbox/gpu/interface.ts';

/** Of a node that lends none. */
export const NO_GPUS: GpuSource = {
  units: [],
  refresh: async () => {},
  plan: async () => {
    throw new InternalError('a plan for GPUs of a node that lends none');
  },
};
