import type { JobId } from '../../domain/ids.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { CHECKPOINTS_LISTED } from '../constants.ts';
import type { AttemptView, CheckpointView } from '../interface.ts';
import type { HeldPoint } from '../job-resume.ts';
import { viewCheckpoint } from './checkpoint-book.ts';

/** Of each attempt the newest checkpoints, ascending by replica, attempt and step. */
export async function listCheckpoints(
  store: Pick<CheckpointStore, 'newest' | 'loadHeld'>,
  job: JobId,
  attempts: readonly AttemptView[],
): Promise<CheckpointView[]> {
  const held = await store.loadHeld(job);
  const views: CheckpointView[] = [];
  const ordered = attempts.toSorted((a, b) => a.replica - b.replica || a.attempt - b.attempt);
  for (const { lease, replica } of ordered) {
    for (const checkpoint of await store.newest(job, lease, { limit: CHECKPOINTS_LISTED })) {
      const { index, snapshot } = checkpoint.value;
      const state = isHeld(held, { lease, index }) ? 'held' : snapshot === null ? 'none' : 'announced';
      views.push(viewCheckpoint(checkpoint, replica, state));
    }
  }
  return views;
}

function isHeld(held: readonly HeldPoint[], { lease, index }: Pick<HeldPoint, 'lease' | 'index'>): boolean {
  return held.some((point) => point.lease === lease && point.index === index);
}
