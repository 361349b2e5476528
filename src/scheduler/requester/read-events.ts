import type { JobId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { CHECKPOINTS_LISTED } from '../constants.ts';
import type { JobEvent } from '../interface.ts';
import { transition } from '../job-machine.ts';
import { createInitialState, createJobFacts, isEnded, type JobMachineState } from '../job-machine-state.ts';
import type { JobStore } from '../job-store.ts';
import { describeCheckpointEvent } from './checkpoint-book.ts';
import type { PlacedEvent } from './event-hub.ts';
import { toJobEvent } from './job-log.ts';
import { describeTransition } from './job-view.ts';

export interface RecordedEvents {
  /** In order of time. */
  readonly events: readonly JobEvent[];
  readonly isEnded: boolean;
  /** True if a live event is already among the recorded ones. */
  readonly includes: (placed: PlacedEvent) => boolean;
}

export interface RecordedStores {
  readonly jobs: Pick<JobStore, 'loadHistory' | 'loadLogs'>;
  readonly checkpoints: Pick<CheckpointStore, 'newest' | 'loadHeld'>;
}

/** What the store holds of a job's course: its states and attempts replayed from the history, and its logs. */
export async function readRecordedEvents(
  { jobs: store, checkpoints }: RecordedStores,
  id: JobId,
  job: Job,
): Promise<RecordedEvents> {
  const history = await store.loadHistory(id);
  let state: JobMachineState = createInitialState(createJobFacts(id, job));
  const events: JobEvent[] = [{ kind: 'state', job: id, atMs: job.createdAtMs, state: state.kind }];
  for (const event of history) {
    const next = transition(state, event);
    if (next.kind === 'rejected') break;
    events.push(...describeTransition(state, next, event.atMs));
    state = next;
  }
  const lastLogs = new Map<string, number>();
  for await (const { lease, sequence, entry } of store.loadLogs(id)) {
    events.push(toJobEvent(id, lease, entry));
    lastLogs.set(lease, Math.max(sequence, lastLogs.get(lease) ?? 0));
  }
  const lastCheckpoints = new Map<string, number>();
  const held = state.facts.hasCheckpoints ? await checkpoints.loadHeld(id) : [];
  for (const { lease, replica } of state.facts.hasCheckpoints ? state.attempts : []) {
    for (const { value } of await checkpoints.newest(id, lease, { limit: CHECKPOINTS_LISTED })) {
      const isHeld = held.some((point) => point.lease === lease && point.index === value.index);
      const snapshot = isHeld ? 'held' : value.snapshot === null ? 'none' : 'announced';
      events.push(describeCheckpointEvent({ lease, replica }, value, snapshot));
      lastCheckpoints.set(lease, value.index);
    }
  }
  return {
    events: orderByTime(events),
    isEnded: isEnded(state),
    includes: ({ event, sequence }) => {
      if (event.kind === 'checkpoint') {
        return event.snapshot !== 'held' && sequence <= (lastCheckpoints.get(event.lease) ?? -1);
      }
      const isOutput = event.kind === 'log' || event.kind === 'metric';
      return isOutput ? sequence <= (lastLogs.get(event.lease) ?? 0) : sequence < history.length;
    },
  };
}

/**
 * Logs carry their provider's clock, states ours. What ends the job stays last, whatever the clocks say, and what a
 * replica printed stays in the order in which its program did, on however many providers; else the order is by time, and
 * stable.
 */
function orderByTime(events: readonly JobEvent[]): JobEvent[] {
  const isLast = (event: JobEvent): boolean =>
    event.kind === 'state' && ['completed', 'failed', 'cancelled', 'expired'].includes(event.state);
  const places = placeOutputs(events);
  const placed = events
    .filter((event) => !isLast(event))
    .map((event) => ({ event, ...(places.get(event) ?? { atMs: event.atMs, replica: -1, ordinal: 0 }) }))
    .sort((a, b) => a.atMs - b.atMs || a.replica - b.replica || a.ordinal - b.ordinal);
  return [...placed.map(({ event }) => event), ...events.filter(isLast)];
}

interface OutputPlace {
  /** Not before what stands before it. */
  readonly atMs: number;
  readonly replica: number;
  readonly ordinal: number;
}

function placeOutputs(events: readonly JobEvent[]): Map<JobEvent, OutputPlace> {
  const outputs = events.flatMap((event) =>
    (event.kind === 'log' || event.kind === 'metric') && event.ordinal !== undefined
      ? [{ event, replica: event.replica, ordinal: event.ordinal }]
      : [],
  );
  const places = new Map<JobEvent, OutputPlace>();
  for (const own of Map.groupBy(outputs, ({ replica }) => replica).values()) {
    let atMs = 0;
    for (const { event, ...place } of own.toSorted((a, b) => a.ordinal - b.ordinal)) {
      atMs = Math.max(atMs, event.atMs);
      places.set(event, { atMs, ...place });
    }
  }
  return places;
}
