import type { Lease } from '../domain/lease.ts';
import type { Signed } from '../domain/signed.ts';
import type { WriteOperation } from '../storage/interface.ts';
import type { JobView } from './interface.ts';

/**
 * What is written together with the end of a job or of an attempt, so that no crash comes between the two: that its other
 * party is yet to be observed.
 */
export interface AttemptNotes {
  /** The requester's job has ended. */
  noteEnded(view: JobView): readonly WriteOperation[];
  /** An attempt gave a result here. */
  noteServed(lease: Signed<Lease>): readonly WriteOperation[];
  /** After that write. */
  wake(): void;
}

/** Where nobody observes. */
export const NO_ATTEMPT_NOTES: AttemptNotes = {
  noteEnded: () => [],
  noteServed: () => [],
  wake: () => undefined,
};
