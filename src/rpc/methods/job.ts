import type { JobId } from '../../domain/ids.ts';
import { pause } from '../../lib/pause.ts';
import type { JobState } from '../../scheduler/interface.ts';
import { CHANGE_INTERVAL_MS, MAX_LIST_LIMIT } from '../constants.ts';
import type { HandlerModules, MethodHandlers, SubscriptionHandlers } from './handlers.ts';
import { writeOutputs } from './write-outputs.ts';

type JobMethod =
  | 'job.submit'
  | 'job.submitMany'
  | 'job.list'
  | 'job.show'
  | 'job.explain'
  | 'job.cancel'
  | 'job.rate'
  | 'job.pause'
  | 'job.resume'
  | 'job.checkpoints'
  | 'job.wait'
  | 'job.writeOutputs';

export function createJobHandlers(modules: HandlerModules): MethodHandlers<JobMethod> {
  const { requester, ratings, blobs } = modules;
  return {
    'job.submit': ({ draft }) => requester.submit(draft),
    'job.submitMany': async ({ drafts }) => ({ jobs: await requester.submitMany(drafts) }),
    'job.list': async (filter) => ({ jobs: await requester.list(filter) }),
    'job.show': ({ job }) => requester.show(job),
    'job.explain': ({ job }) => requester.explain(job),
    'job.cancel': ({ job }) => requester.cancel(job),
    'job.rate': async ({ job, ...rating }) => ratings.rate(await requester.show(job), rating),
    'job.pause': ({ job }) => requester.pause(job),
    'job.resume': ({ job }) => requester.resume(job),
    'job.checkpoints': async ({ job }) => ({ checkpoints: await requester.checkpoints(job) }),
    'job.wait': ({ job }, { signal }) => requester.wait(job, { signal }),
    'job.writeOutputs': async ({ job, directory }, { signal }) => ({
      files: await writeOutputs({ blobs, outputs: requester }, { view: await requester.show(job), directory, signal }),
    }),
  };
}

export function createJobSubscriptions(
  modules: HandlerModules,
): SubscriptionHandlers<'job.subscribe' | 'jobs.subscribe'> {
  return {
    'job.subscribe': ({ job, follow }, signal) => modules.requester.events(job, { follow, signal }),
    'jobs.subscribe': (_, signal) => watchJobs(modules, signal),
  };
}

/** States are compared from sample to sample, which needs nothing of the scheduler that `job.list` does not. */
async function* watchJobs(
  { requester, clock }: HandlerModules,
  signal: AbortSignal,
): AsyncIterable<{ job: JobId; state: JobState }> {
  let before = new Map<JobId, JobState>();
  let isFirst = true;
  while (!signal.aborted) {
    const jobs = await requester.list({ limit: MAX_LIST_LIMIT });
    const now = new Map(jobs.map(({ job, state }) => [job, state]));
    for (const [job, state] of now) {
      if (!isFirst && before.get(job) !== state) yield { job, state };
    }
    before = now;
    isFirst = false;
    await pause(clock, CHANGE_INTERVAL_MS, signal);
  }
}
