import { CHECKPOINT_CHAIN } from '../domain/checkpoint.ts';
import type { BlobId } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import type { Lease } from '../domain/lease.ts';
import { decodeObject } from '../domain/object-type.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Signed } from '../domain/signed.ts';
import { isDaemonError } from '../lib/errors.ts';
import { type OpenedChain, verifyChain } from '../proofs/verify-chain.ts';

/** Blobs of a bundle that the checks read, by id. */
export type EvidenceBlobs = ReadonlyMap<BlobId, Uint8Array>;

/** The checkpoint chain that a receipt names, recomputed. */
export type AttemptChain =
  /** The receipt names none. */
  | { readonly kind: 'none' }
  /** It is not in the file. */
  | { readonly kind: 'missing'; readonly blob: BlobId }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'verified'; readonly chain: OpenedChain };

export interface ChainParties {
  readonly job: Signed<Job> | undefined;
  readonly lease: Signed<Lease> | undefined;
  readonly receipt: Receipt | undefined;
}

export function openChain({ job, lease, receipt }: ChainParties, blobs: EvidenceBlobs): AttemptChain {
  const named = receipt?.checkpointChain;
  if (receipt === undefined || named === undefined) return { kind: 'none' };
  const bytes = blobs.get(named.blob);
  if (bytes === undefined) return { kind: 'missing', blob: named.blob };
  if (job === undefined || lease === undefined) return { kind: 'refused', reason: 'its job or its lease is refused' };
  try {
    const checked = verifyChain(decodeObject(CHECKPOINT_CHAIN, bytes), { job, lease, receipt });
    if (checked.ok) return { kind: 'verified', chain: checked.value };
    return { kind: 'refused', reason: `${checked.problem.check}: ${checked.problem.detail}` };
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return { kind: 'refused', reason: error.message };
  }
}
