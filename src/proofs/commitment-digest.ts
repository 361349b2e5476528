import { CID } from 'multiformats/cid';
import { COMMITMENT_PREFIX } from '../domain/commitment.ts';
import type { LeaseId, ObjectId } from '../domain/ids.ts';
import { encodeUtf8 } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';

const PREFIX = encodeUtf8(COMMITMENT_PREFIX);

/** Design section 7: SHA-256("fogproof/commit@1" ‖ lease CID bytes ‖ output root CID bytes ‖ 32-byte salt). */
export function computeCommitmentDigest(lease: LeaseId, outputRoot: ObjectId, salt: Uint8Array): Uint8Array {
  return sha256(PREFIX, CID.parse(lease).bytes, CID.parse(outputRoot).bytes, salt);
}
