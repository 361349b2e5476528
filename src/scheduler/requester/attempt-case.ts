import type { Commitment } from '../../domain/commitment.ts';
import type { LeaseId } from '../../domain/ids.ts';
import type { Lease } from '../../domain/lease.ts';
import type { InlineBlob } from '../../domain/messages.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { leaseIdOf } from '../object-ids.ts';

/** The verified objects of one attempt, as far as it has come. */
export interface AttemptCase {
  readonly id: LeaseId;
  readonly lease: Signed<Lease>;
  commitment: Signed<Commitment> | null;
  setSignature: SignedWire | null;
  receipt: Signed<Receipt> | null;
  /** Output bytes that came with the receipt, not yet checked against it. */
  inlineBlobs: readonly InlineBlob[];
}

export function createAttemptCase(lease: Signed<Lease>): AttemptCase {
  return { id: leaseIdOf(lease), lease, commitment: null, setSignature: null, receipt: null, inlineBlobs: [] };
}
