import { type LeaseId, type ObjectId, type PeerKey, UnixMs } from '../../../domain/ids.ts';
import type { Receipt } from '../../../domain/receipt.ts';
import { computeOutputRoot } from '../../../proofs/commitment.ts';
import type { Conclusion } from './conclusion.ts';

export interface ReceiptSubject {
  readonly network: string;
  readonly lease: LeaseId;
  readonly requester: PeerKey;
  readonly provider: PeerKey;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Null where nothing is committed to. */
  readonly salt: Uint8Array | null;
}

/** The receipt of an attempt, as far as it can be known before the set of commitments is. */
export function createReceipt(subject: ReceiptSubject, conclusion: Conclusion): Receipt {
  const { result, checkpoints, attestation } = conclusion;
  return {
    type: 'fogproof/receipt@1',
    network: subject.network,
    job: result.job,
    lease: subject.lease,
    requester: subject.requester,
    provider: subject.provider,
    result,
    outputRoot: computeOutputRoot(result),
    salt: subject.salt,
    commitmentSet: null,
    checkpointRoot: checkpoints?.root ?? null,
    ...(checkpoints === null ? {} : { checkpointChain: checkpoints.chain }),
    ...(attestation === null ? {} : { attestation }),
    sandbox: conclusion.sandbox,
    usage: conclusion.usage,
    startedAtMs: UnixMs(Math.min(subject.startedAtMs, subject.finishedAtMs)),
    finishedAtMs: UnixMs(subject.finishedAtMs),
  };
}

/** The receipt that opens a commitment: its draft with the set that every provider signed. */
export function completeReceipt(draft: Receipt, commitmentSet: ObjectId): Receipt {
  return { ...draft, commitmentSet };
}
