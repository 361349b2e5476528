import type { JobId, LeaseId } from '../domain/ids.ts';
import type { WriteOperation } from '../storage/interface.ts';

/** What is written together with the end of a job or a lease, so that no crash comes between the two. */
export interface ReceiptNotes {
  noteReceived(job: JobId): readonly WriteOperation[];
  noteProvided(lease: LeaseId): readonly WriteOperation[];
  /** After that write. */
  wake(): void;
}

/** Where nothing is anchored. */
export const NO_RECEIPT_NOTES: ReceiptNotes = {
  noteReceived: () => [],
  noteProvided: () => [],
  wake: () => undefined,
};
