import type { Commitment } from '../../domain/commitment.ts';
import type { LeaseId, ObjectId } from '../../domain/ids.ts';
import type { Lease, LeaseAcceptance, Progress } from '../../domain/lease.ts';
import type { InlineBlob } from '../../domain/messages.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { leaseIdOf } from '../object-ids.ts';
import type { LeaseCourse } from './judge-lateness.ts';

/** The verified objects of one attempt, as far as it has come. */
export interface AttemptCase {
  readonly id: LeaseId;
  readonly lease: Signed<Lease>;
  acceptance: LeaseAcceptance | null;
  /** The last signed progress that is known, also by what was heard after it counted as lost. */
  progress: { readonly value: Progress; readonly wire: SignedWire } | null;
  commitment: Signed<Commitment> | null;
  setSignature: SignedWire | null;
  receipt: Signed<Receipt> | null;
  /** Of secrets to it, where the job is confidential. */
  release: { readonly id: ObjectId; readonly wire: SignedWire } | null;
  /** Output bytes that came with the receipt, not yet checked against it. */
  inlineBlobs: readonly InlineBlob[];
}

export function createAttemptCase(lease: Signed<Lease>): AttemptCase {
  return {
    id: leaseIdOf(lease),
    lease,
    acceptance: null,
    progress: null,
    commitment: null,
    setSignature: null,
    receipt: null,
    release: null,
    inlineBlobs: [],
  };
}

/** What judges its times. */
export function courseOf({ lease, acceptance, progress }: AttemptCase): LeaseCourse {
  return { lease: lease.value, acceptedAtMs: acceptance?.acceptedAtMs ?? null, progress: progress?.value ?? null };
}
