import { PRIORITIES, type Priority } from '../../../domain/job.ts';

/** Share of a requester's slot time that its jobs of each priority get while all wait, and of all slots among requesters. */
export const PRIORITY_WEIGHTS = { low: 1, normal: 2, high: 4, critical: 8 } as const satisfies Record<Priority, number>;

/** How much more slot time for its weight a more urgent requester may have used and still go first, ms. */
export const HANDICAP_MS = { low: 3_000, normal: 1_500, high: 500, critical: 0 } as const satisfies Record<
  Priority,
  number
>;

/**
 * After so long without a turn, ms, a requester's jobs of this priority have no handicap until the next: then they go before
 * all that came later, so that nothing starves.
 */
export const PATIENCE_MS = { low: 60_000, normal: 30_000, high: 10_000, critical: 0 } as const satisfies Record<
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

export function computeHandicap(priority: Priority, waitedMs: number): number {
  return waitedMs >= PATIENCE_MS[priority] ? 0 : HANDICAP_MS[priority];
}
