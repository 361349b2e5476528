import type { JobId } from '../../domain/ids.ts';
import type { CheckpointStore, StoredCheckpoint } from '../checkpoint-store.ts';
import { CHECKPOINTS_LISTED, JOB_CHECKPOINTS_LISTED } from '../constants.ts';
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
  const byAttempt: { readonly attempt: AttemptView; readonly views: readonly CheckpointView[] }[] = [];
  let room = JOB_CHECKPOINTS_LISTED;
  for (const attempt of attempts.toReversed()) {
    if (room <= 0) break;
    const limit = Math.min(room, CHECKPOINTS_LISTED);
    const found = await store.newest(job, attempt.lease, { limit });
    byAttempt.push({ attempt, views: found.map((checkpoint) => describe(checkpoint, attempt, held)) });
    room -= found.length;
  }
  byAttempt.sort(({ attempt: a }, { attempt: b }) => a.replica - b.replica || a.attempt - b.attempt);
  return byAttempt.flatMap(({ views }) => views);
}

function describe(
  checkpoint: StoredCheckpoint,
  { lease, replica }: AttemptView,
  held: readonly HeldPoint[],
): CheckpointView {
  const { index, snapshot } = checkpoint.value;
  const state = isHeld(held, { lease, index }) ? 'held' : snapshot === null ? 'none' : 'announced';
  return viewCheckpoint(checkpoint, replica, state);
}

function isHeld(held: readonly HeldPoint[], { lease, index }: Pick<HeldPoint, 'lease' | 'index'>): boolean {
  return held.some((point) => point.lease === lease && point.index === index);
}
