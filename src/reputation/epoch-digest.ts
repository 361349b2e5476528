import type { ObjectId } from '../domain/ids.ts';
import { encodeUtf8 } from '../lib/bytes.ts';
import { encodeCanonical } from '../lib/canonical-cbor.ts';
import { sha256 } from '../lib/cid.ts';
import { DIMENSIONS } from './beta-model.ts';
import type { EpochDigest } from './interface.ts';
import type { SubjectSums } from './standing-book.ts';

/** Two nodes with the same observations of an epoch have the same digest. */
export function computeEpochDigest(epoch: number, ids: Iterable<ObjectId>): EpochDigest {
  const sorted = [...ids].sort();
  return { epoch, count: sorted.length, hash: sha256(encodeUtf8(sorted.join('\n'))) };
}

/** SHA-256 of the canonical form of an epoch's sums: two nodes that took the same observations in have the same. */
export function computeSnapshotHash(networkId: string, epoch: number, subjects: readonly SubjectSums[]): Uint8Array {
  return sha256(
    encodeCanonical({
      type: 'fogproof/reputation-snapshot@1',
      network: networkId,
      epoch,
      subjects: subjects.map(({ subject, role, sums }) => ({
        subject,
        role,
        sums: DIMENSIONS.map((name) => [sums[name].success.toString(), sums[name].failure.toString()]),
      })),
    }),
  );
}
