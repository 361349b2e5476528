import { createHash } from 'node:crypto';
import type { JobDraft } from '../../../scheduler/interface.ts';
import type { BatchItem } from '../../job-file/batch/expand-batch.ts';

/**
 * What the jobs of a batch are, whoever describes them and whenever: of each its draft without the time and the seed that
 * submitting adds. Files are in it by their content.
 */
export class BatchDigest {
  readonly #hash = createHash('sha256');

  add({ hasSeed, plan }: Pick<BatchItem, 'hasSeed' | 'plan'>, draft: JobDraft, nowMs: number): void {
    const { deadlineMs, workload, ...rest } = draft;
    const { seed, ...program } = workload.kind === 'wasm' ? workload : { ...workload, seed: null };
    const described = {
      ...rest,
      withinMs: deadlineMs - nowMs,
      workload: {
        ...program,
        ...sortEnvironment(plan.workload),
      },
      seed: hasSeed && seed !== null ? Buffer.from(seed).toString('hex') : null,
    };
    this.#hash.update(`${JSON.stringify(described)}\n`);
  }

  /** Hex. */
  end(): string {
    return this.#hash.digest('hex');
  }
}

/** Two files that list the same variables in another order describe the same jobs. */
function sortEnvironment(workload: BatchItem['plan']['workload']) {
  if (workload.kind === 'inference') return {};
  return { environment: Object.entries(workload.environment).toSorted(([a], [b]) => (a < b ? -1 : 1)) };
}
