import type { JobId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import type { JobEvent, JobState } from '../interface.ts';
import type { JobStore } from '../job-store.ts';
import type { JobEventHub } from './event-hub.ts';
import { readRecordedEvents } from './read-events.ts';

const TERMINAL_STATES: ReadonlySet<JobState> = new Set(['completed', 'failed', 'cancelled', 'expired']);

export interface EventSources {
  readonly hub: JobEventHub;
  readonly stores: { readonly jobs: JobStore; readonly checkpoints: CheckpointStore };
  readonly loadJob: () => Promise<Job>;
  readonly isActive: () => boolean;
}

/** What is recorded of a job, then, if it is followed, what comes until it ends: each event once. */
export async function* followEvents(
  { hub, stores, loadJob, isActive }: EventSources,
  job: JobId,
  options: { readonly follow: boolean; readonly signal: AbortSignal },
): AsyncGenerator<JobEvent> {
  using follower = hub.follow(job);
  const recorded = await readRecordedEvents(stores, job, await loadJob());
  yield* recorded.events;
  if (!options.follow || recorded.isEnded) return;
  // It ended or halted while the record was read: what is buffered is all there is.
  if (!isActive()) follower.close();
  for await (const placed of follower.entries(options.signal)) {
    if (recorded.includes(placed)) continue;
    yield placed.event;
    if (placed.event.kind === 'state' && TERMINAL_STATES.has(placed.event.state)) return;
  }
}
