/**
 * Who audits a receipt (design section 5): the lowest SHA-256(beacon ‖ receipt ‖ key). Anybody can repeat the choice from
 * the receipt, the beacon of a round after it was bound, and the list of candidates; nobody could know it before.
 */
import type { PeerKey } from '../domain/ids.ts';
import { concatBytes } from '../lib/bytes.ts';
import { PrefixHasher } from './prefix-hasher.ts';
import { BEACON_BYTES, compareRanks, type Rank } from './selection.ts';

const RECEIPT_BYTES = 32;

export interface AuditorCandidate {
  readonly peer: PeerKey;
  /** Of its identity. */
  readonly publicKeyBytes: Uint8Array;
}

export interface AuditorChoice {
  /** 32 bytes: the value of a round that began after the receipt was bound. */
  readonly beacon: Uint8Array;
  /** 32 bytes: the digest of the receipt's id. */
  readonly receipt: Uint8Array;
  readonly candidates: Iterable<AuditorCandidate>;
  /** Who may not judge: the provider, the requester. */
  readonly excluded: readonly PeerKey[];
  readonly count: number;
}

/** At most `count` candidates, lowest first; a peer that is named twice counts once. @throws RangeError */
export function selectAuditors(choice: AuditorChoice): (AuditorCandidate & { readonly rank: Rank })[] {
  const { beacon, receipt, candidates, excluded, count } = choice;
  if (beacon.length !== BEACON_BYTES) throw new RangeError('a value of the beacon has 32 bytes');
  if (receipt.length !== RECEIPT_BYTES) throw new RangeError('the digest of a receipt has 32 bytes');
  const hasher = new PrefixHasher(concatBytes(beacon, receipt));
  const seen = new Set<PeerKey>(excluded);
  const ranked: (AuditorCandidate & { readonly rank: Rank })[] = [];
  for (const candidate of candidates) {
    if (seen.has(candidate.peer)) continue;
    seen.add(candidate.peer);
    ranked.push({ ...candidate, rank: hasher.hash(candidate.publicKeyBytes).slice() });
  }
  return ranked.sort((a, b) => compareRanks(a.rank, b.rank)).slice(0, count);
}
