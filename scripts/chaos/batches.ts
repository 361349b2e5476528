/** Batches whose jobs have places: what is submitted twice is one job, and the batch counts what it has. */
import type { JobId } from '../../src/domain/ids.ts';
import type { JobBatchId } from '../../src/domain/job-batch.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { JobDraft } from '../../src/scheduler/interface.ts';
import { type Reviewing, retry } from './asking.ts';

/** Places of the first call, and that many of them again in the second. */
const FIRST_PLACES = 4;
const PLACES_AGAIN = 2;
const DIGEST = 'the same each time';
const MOST_JOBS = 100;

/** In two calls that overlap, as by a client that was cut off. @throws Error if a place was given to two jobs */
export async function submitWithPlaces(
  client: RpcClient,
  batch: JobBatchId,
  drafts: readonly JobDraft[],
): Promise<readonly JobId[]> {
  await client.call('batch.open', { batch, name: 'chaos', size: drafts.length, digest: DIGEST });
  const entries = drafts.map((draft, index) => ({ index, draft }));
  const first = await client.call('batch.submit', { batch, jobs: entries.slice(0, FIRST_PLACES) });
  const from = FIRST_PLACES - PLACES_AGAIN;
  const rest = await client.call('batch.submit', { batch, jobs: entries.slice(from) });
  for (const [at, job] of first.jobs.slice(from).entries()) {
    if (rest.jobs[at] !== job)
      throw new Error(`batch ${batch}: place ${from + at} was given to ${job} and ${rest.jobs[at]}`);
  }
  return [...first.jobs, ...rest.jobs.slice(PLACES_AGAIN)];
}

/** Once its jobs have ended. */
export async function reviewBatch(batch: JobBatchId, jobs: readonly JobId[], asking: Reviewing): Promise<void> {
  const view = await retry(asking, (client) => client.call('batch.show', { batch }));
  const listed = await retry(asking, (client) => client.call('batch.jobs', { batch, fromIndex: 0, limit: MOST_JOBS }));
  const ids = listed.jobs.map(({ job }) => job);
  if (ids.join() !== jobs.join()) asking.onFinding(`batch ${batch} lists ${ids.join()} instead of ${jobs.join()}`);
  if (view.submitted !== jobs.length || view.endedAtMs === null)
    asking.onFinding(`batch ${batch} says of ${jobs.length} ended jobs: ${JSON.stringify(view)}`);
}
