import type { Clock } from '../../../lib/clock.ts';
import { INFERENCE_BEAT_MS } from './constants.ts';
import type { LaneTask } from './lane-task.ts';
import type { ModelChild } from './model-child.ts';

/** What a task has in a call: its rows, of those of all. */
export interface CallShare {
  readonly task: LaneTask;
  readonly rows: number;
}

/**
 * Counts what a call takes for the tasks that have a part in it, shows that they live, and ends the child when the time of one
 * of them is over. Wall time counts in full for each; CPU time by rows. Disposed when the call has ended.
 */
export function timeCall(clock: Clock, child: ModelChild, shares: readonly CallShare[]): Disposable {
  const rowsOf = new Map<LaneTask, number>();
  for (const { task, rows } of shares) rowsOf.set(task, (rowsOf.get(task) ?? 0) + rows);
  const total = shares.reduce((sum, { rows }) => sum + rows, 0);
  const tasks = [...rowsOf].map(([task, rows]) => ({ task, share: rows / total, cpuBeforeMs: task.cpuTimeMs }));
  const sinceMs = clock.monotonicMs();
  const cpuBeforeMs = child.cpuTimeMs;
  const count = (): void => {
    const usedMs = Math.max(0, child.cpuTimeMs - cpuBeforeMs);
    const { peakBytes } = child.watchMemory();
    for (const { task, share, cpuBeforeMs: before } of tasks) {
      task.cpuTimeMs = Math.max(task.cpuTimeMs, before + usedMs * share);
      task.peakMemoryBytes = Math.max(task.peakMemoryBytes, peakBytes);
    }
  };
  let beat = clock.schedule(INFERENCE_BEAT_MS, function again() {
    count();
    for (const { task } of tasks) if (!task.isOver) task.showLife();
    beat = clock.schedule(INFERENCE_BEAT_MS, again);
  });
  const leftMs = Math.min(...tasks.map(({ task }) => task.leftMs));
  const timer = clock.schedule(leftMs, () => {
    for (const { task } of tasks) if (task.leftMs <= leftMs) task.endOvertime();
    child.kill('its time is over');
  });
  return {
    [Symbol.dispose]: () => {
      beat[Symbol.dispose]();
      timer[Symbol.dispose]();
      count();
      const elapsedMs = clock.monotonicMs() - sinceMs;
      for (const { task } of tasks) if (!task.isOver) task.usedMs += elapsedMs;
    },
  };
}
