import type { LeaseId } from '../../domain/ids.ts';
import type { JobRequest } from '../../domain/messages.ts';
import { packSigned } from '../../proofs/signed-object.ts';
import type { AttemptDriverOptions } from './attempt-driver.ts';

/** Takes the offer. */
export function createLeaseRequest({ job, attempt, inlineBlobs, snapshotKey }: AttemptDriverOptions): JobRequest {
  const keys = snapshotKey === null ? {} : { snapshotKeys: [{ lease: attempt.id, key: snapshotKey }] };
  const [jobs, leases] = [packSigned([job]), packSigned([attempt.lease])];
  return { op: 'lease', jobs, leases, inlineBlobs: [...inlineBlobs], ...keys };
}

/** Follows an attempt again, from the first event that was not seen. */
export function createAttachRequest(lease: LeaseId, fromSequence: number): JobRequest {
  return { op: 'attach', leases: [{ lease, fromSequence }] };
}
