import type { JobId } from '../../domain/ids.ts';
import { JOB_BATCH_ID_PATTERN, type JobBatchId } from '../../domain/job-batch.ts';
import { UsageError } from '../../lib/errors.ts';
import type { RpcClient } from '../../rpc/client.ts';
import { resolveJob } from './resolve-job.ts';

const MOST_BATCHES = 10_000;

export type JobTarget =
  | { readonly kind: 'job'; readonly job: JobId }
  | { readonly kind: 'batch'; readonly batch: JobBatchId };

/** A job, or a batch by its name or the beginning of it. @throws UsageError if none or several are meant */
export async function resolveTarget(client: RpcClient, text: string, signal: AbortSignal): Promise<JobTarget> {
  // No name of a batch is `latest` or begins as the ids of jobs do.
  if (!JOB_BATCH_ID_PATTERN.test(text)) return { kind: 'job', job: await resolveJob(client, text, signal) };
  return { kind: 'batch', batch: await resolveBatch(client, text, signal) };
}

export async function resolveBatch(client: RpcClient, text: string, signal: AbortSignal): Promise<JobBatchId> {
  const { batches } = await client.call('batch.list', { limit: MOST_BATCHES }, { signal });
  const exact = batches.find(({ batch }) => batch === text);
  const [found, another] = exact === undefined ? batches.filter(({ batch }) => batch.startsWith(text)) : [exact];
  if (found === undefined) {
    throw new UsageError(
      `'${text}' is neither a job nor a batch of this node`,
      'Copy the id from `fogproof job list` or `fogproof job list --batches`, or say `latest` for the newest job.',
    );
  }
  if (another !== undefined) throw new UsageError(`several batches begin with '${text}'`, 'Give more of the name.');
  return found.batch;
}

/** For the argument tables of commands. */
export const TARGET_ARGUMENT = {
  name: 'job',
  description: 'job id, its beginning, `latest`, or the name of a batch',
  isRequired: true,
} as const;
