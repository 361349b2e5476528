import { PRIORITIES, type Priority } from '../../../domain/job.ts';

/** Share of a requester's slot time that its jobs of each priority get while all wait, and of all slots among requesters. */
export const PRIORITY_WEIGHTS = { low: 1, normal: 2, high: 4, critical: 8 } as const satisfies Record<Priority, number>;

/**
 * By how much others may have used less of the slots and still go after it, ms of slot time. It runs off while a job waits:
 * one that has waited this long has no less urgency than a critical one, so that nothing starves.
 */
export const PATIENCE_MS = { low: 30_000, normal: 15_000, high: 5_000, critical: 0 } as const satisfies Record<
  Priority,
  number
>;

/** Absent is normal (domain/job.ts). */
export function priorityOf({ priority }: { readonly priority?: Priority | undefined }): Priority {
  return priority ?? 'normal';
}

/** Whether `asked` is more urgent than `allowed`. */
export function isMoreUrgent(asked: Priority, allowed: Priority): boolean {
  return PRIORITIES.indexOf(asked) > PRIORITIES.indexOf(allowed);
}

/** What is left of the patience of a job that has waited. */
export function computePatience(priority: Priority, waitedMs: number): number {
  return Math.max(0, PATIENCE_MS[priority] - Math.max(0, waitedMs));
}
