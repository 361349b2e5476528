import { stat } from 'node:fs/promises';
import { formatDuration, formatSize } from '../../../lib/quantity.ts';
import { formatCount, renderFields } from '../../format.ts';
import { expandBatch } from '../../job-file/batch/expand-batch.ts';
import type { JobPlan, OpenedJobFile } from '../../job-file/interface.ts';
import type { PlanContext } from '../../job-file/load-job-file.ts';

/** What a whole batch is, found by going through it once. */
export interface BatchSurvey {
  readonly size: number;
  /** Every file that a job of it names, once, with its size. */
  readonly files: ReadonlyMap<string, number>;
  /** All of its jobs ask for the same as this one but for what variables fill in. */
  readonly draft: JobPlan['draft'];
}

/** Goes through all jobs, so that a bad row is known before anything is submitted. @throws JobFileError */
export async function surveyBatch(file: OpenedJobFile, context: PlanContext): Promise<BatchSurvey> {
  const files = new Map<string, number>();
  let size = 0;
  let draft: JobPlan['draft'] | undefined;
  for await (const { plan } of expandBatch(file, context)) {
    size += 1;
    draft ??= plan.draft;
    for (const { path } of plan.files) {
      if (!files.has(path)) files.set(path, (await stat(path)).size);
    }
  }
  if (draft === undefined) throw new TypeError('a batch that was gone through has a job');
  return { size, files, draft };
}

/** What submitting it will do and cost at most, before it is done. */
export function renderSurvey({ size, files, draft }: BatchSurvey, name: string, nowMs: number): string[] {
  const { replication, isolation, resources, deadlineMs, retries, capabilityClass, priority = 'normal' } = draft;
  const { replicas, quorum } = replication;
  const bytes = [...files.values()].reduce((sum, each) => sum + each, 0);
  const where = replicas === 1 ? 'one provider' : `${replicas} different providers, ${quorum} must agree`;
  return renderFields([
    ['batch', `${name}, ${size} jobs`],
    ['each runs', `on ${where} (${capabilityClass})`],
    ['isolation', `${isolation} or stronger; ${retries} other providers tried where one fails`],
    [
      'limits',
      `memory ${formatSize(resources.memoryBytes)}, ${resources.fuel === null ? '' : `fuel ${formatCount(resources.fuel)}, `}time ${formatDuration(resources.wallTimeMs)} each`,
    ],
    ['deadline', `in ${formatDuration(Math.max(0, deadlineMs - nowMs))}`],
    ['files', `${files.size}, ${formatSize(bytes)}${draft.private === true ? ', private: encrypted on disk' : ''}`],
    ['priority', priority],
    ['price', renderPrice(draft, size)],
  ]);
}

function renderPrice({ priceCeiling, replication }: JobPlan['draft'], size: number): string {
  if (priceCeiling === '0') return 'nothing: unpaid work';
  const total = BigInt(priceCeiling) * BigInt(replication.replicas) * BigInt(size);
  return `at most ${priceCeiling} a replica, ${total} in all`;
}
