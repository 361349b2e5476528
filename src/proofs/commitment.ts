/**
 * Commit, then reveal (design section 7):
 *   digest = SHA-256("fogproof/commit@1" ‖ lease CID bytes ‖ output root CID bytes ‖ 32-byte salt)
 */
import { CID } from 'multiformats/cid';
import { COMMITMENT_PREFIX, type CommitmentSet } from '../domain/commitment.ts';
import { type JobId, type LeaseId, type ObjectId } from '../domain/ids.ts';
import { encodeObject } from '../domain/object-type.ts';
import { RESULT, type Result } from '../domain/receipt.ts';
import { encodeUtf8 } from '../lib/bytes.ts';
import { computeObjectId, sha256 } from '../lib/cid.ts';

export interface CommitmentOpening {
  readonly lease: LeaseId;
  readonly outputRoot: ObjectId;
  readonly salt: Uint8Array;
}

export function computeCommitmentDigest({ lease, outputRoot, salt }: CommitmentOpening): Uint8Array {
  return sha256(encodeUtf8(COMMITMENT_PREFIX), CID.parse(lease).bytes, CID.parse(outputRoot).bytes, salt);
}

/** Id of the canonical result: what replicas commit to and compare. */
export function computeOutputRoot(result: Result): ObjectId {
  return computeObjectId(encodeObject(RESULT, result)) as ObjectId;
}

/** The set over commitments, in the one order that everybody signs: ascending by their ids. */
export function createCommitmentSet(job: JobId, commitments: readonly ObjectId[]): CommitmentSet {
  return { type: 'fogproof/commitment-set@1', job, commitments: [...commitments].sort() };
}
