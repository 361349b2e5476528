import { ATTEMPT_EVIDENCE, type AttemptEvidence, RUNTIME_DATA, type RuntimeData } from '../domain/confidential.ts';
import type { BlobId } from '../domain/ids.ts';
import { decodeObject } from '../domain/object-type.ts';
import type { Receipt } from '../domain/receipt.ts';
import { isDaemonError } from '../lib/errors.ts';
import type { EvidenceBlobs } from './open-chain.ts';

/** The evidence of confidential hardware that a receipt names, read and not yet judged. */
export type AttemptAttestation =
  /** The receipt names none. */
  | { readonly kind: 'none' }
  /** It is not in the file. */
  | { readonly kind: 'missing'; readonly blob: BlobId }
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      readonly kind: 'opened';
      readonly bytes: Uint8Array;
      readonly evidence: AttemptEvidence;
      readonly runtimeData: RuntimeData;
    };

export function openAttestation(receipt: Receipt | undefined, blobs: EvidenceBlobs): AttemptAttestation {
  const named = receipt?.attestation;
  if (named === undefined) return { kind: 'none' };
  const bytes = blobs.get(named.evidence);
  if (bytes === undefined) return { kind: 'missing', blob: named.evidence };
  try {
    const evidence = decodeObject(ATTEMPT_EVIDENCE, bytes);
    return { kind: 'opened', bytes, evidence, runtimeData: decodeObject(RUNTIME_DATA, evidence.runtimeData) };
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return { kind: 'refused', reason: error.message };
  }
}
