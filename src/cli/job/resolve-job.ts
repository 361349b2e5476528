import type { JobId } from '../../domain/ids.ts';
import { UsageError } from '../../lib/errors.ts';
import type { RpcClient } from '../../rpc/client.ts';

/** Length of a whole job id; what is shorter is taken for its beginning. */
const WHOLE_ID_LENGTH = 59;
/** Every job id begins with these: they say what kind of id it is. */
const COMMON_PREFIX = 'bafyrei';
const SHORTEST = COMMON_PREFIX.length + 3;
const MOST_JOBS = 10_000;

/** A job by its id, the beginning of its id, or `latest`. @throws UsageError if none or several are meant */
export async function resolveJob(client: RpcClient, text: string, signal: AbortSignal): Promise<JobId> {
  // The daemon checks every id that it is given.
  if (text.length >= WHOLE_ID_LENGTH) return text as JobId;
  if (text === 'latest') return latestJob(client, signal);
  if (!text.startsWith(COMMON_PREFIX) || text.length < SHORTEST) {
    throw new UsageError(`'${text}' is not a job id`, 'Copy it from `fogproof job list`, or say `latest`.');
  }
  const { jobs } = await client.call('job.list', { limit: MOST_JOBS }, { signal });
  const [found, another] = jobs.filter(({ job }) => job.startsWith(text));
  if (found === undefined) throw new UsageError(`no job begins with '${text}'`, 'See `fogproof job list`.');
  if (another !== undefined) throw new UsageError(`several jobs begin with '${text}'`, 'Give more of the id.');
  return found.job;
}

async function latestJob(client: RpcClient, signal: AbortSignal): Promise<JobId> {
  const { jobs } = await client.call('job.list', { limit: 1 }, { signal });
  const [job] = jobs;
  if (job === undefined) throw new UsageError('there is no job yet', 'Submit one with `fogproof job submit FILE`.');
  return job.job;
}

/** For the argument tables of commands. */
export const JOB_ARGUMENT = {
  name: 'job',
  description: 'job id, its beginning, or `latest`',
  isRequired: true,
} as const;
