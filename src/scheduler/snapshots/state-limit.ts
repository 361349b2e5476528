import type { Job } from '../../domain/job.ts';
import { WASI_SCRATCH_BYTES } from '../../wasm/runtime/constants.ts';

/** What sealing adds to a piece at most: 16 bytes to each, of which nearly all have 64 KiB. */
const SEALED_SHARE = 1.0025;

/** Most bytes of a snapshot of a job: memory and output, or the files that a WASI program may write. */
export function computeStateLimit({ resources, checkpoints }: Pick<Job, 'resources' | 'checkpoints'>): number {
  const { memoryBytes, outputBytes } = resources;
  const hasFiles = checkpoints?.schedule.kind === 'rounds';
  return Math.ceil(((hasFiles ? WASI_SCRATCH_BYTES : memoryBytes) + outputBytes) * SEALED_SHARE);
}
