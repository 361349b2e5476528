/**
 * Who is neighbour of whom in an epoch (design section 5):
 *   alpha = "fogproof/neighbours@1" ‖ 0x00 ‖ u8 length of network ‖ network ‖ u64 epoch ‖ beacon of the epoch's first round
 *   beta, pi = VRF(alpha), rank of j = SHA-256(beta ‖ PeerId of j) as a big-endian number
 *   chosen: the lowest ranks that satisfy the diversity caps
 *   a verifier takes a slot only if rank < 2^256 · min(1, c·k / N)
 */
import type { PeerKey } from '../domain/ids.ts';
import { concatBytes, encodeU64, encodeUtf8 } from '../lib/bytes.ts';
import { HASH_BYTES, PrefixHasher } from './prefix-hasher.ts';

export const RANK_BYTES = HASH_BYTES;
export const BEACON_BYTES = 32;

/** A pair of PeerId and VRF key may be chosen from this many epochs after it was first seen or registered. */
export const ELIGIBLE_AFTER_EPOCHS = 2;

const SELECTION_TAG = encodeUtf8('fogproof/neighbours@1\u0000');
const MAX_NETWORK_BYTES = 255;
/** A size that is no whole number counts to about a millionth. */
const PARTS = 2 ** 20;

export interface SelectionPoint {
  readonly network: string;
  readonly epoch: number;
  /** 32 bytes: the value of the epoch's first round. */
  readonly beacon: Uint8Array;
}

/** The VRF's input alpha. @throws RangeError for a point that is none */
export function encodeSelectionInput({ network, epoch, beacon }: SelectionPoint): Uint8Array {
  const name = encodeUtf8(network);
  if (name.length > MAX_NETWORK_BYTES) throw new RangeError('the name of a network has at most 255 bytes');
  if (beacon.length !== BEACON_BYTES) throw new RangeError('a value of the beacon has 32 bytes');
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new RangeError(`${epoch} is no epoch`);
  return concatBytes(SELECTION_TAG, Uint8Array.of(name.length), name, encodeU64(epoch), beacon);
}

/** 32 bytes, compared as a big-endian number; the lowest is the best. */
export type Rank = Uint8Array;

/** @param output beta, 64 bytes @param peerBytes the multihash bytes of the PeerId @throws RangeError */
export function computeRank(output: Uint8Array, peerBytes: Uint8Array): Rank {
  return new PrefixHasher(output).hash(peerBytes);
}

/** Below zero if `a` is the lower. */
export function compareRanks(a: Rank, b: Rank): number {
  for (let index = 0; index < RANK_BYTES; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What several nodes may have in common that one party could hold alone. */
export interface DiversityGroup {
  readonly kind: 'address' | 'asn' | 'operator';
  /** Such as `203.0.113.0/24`, `AS64500`, a wallet. */
  readonly key: string;
}

/** Most neighbours of one group among a node's slots; Infinity: no cap. */
export type DiversityCaps = Readonly<Record<DiversityGroup['kind'], number>>;

export interface Candidate {
  readonly peer: PeerKey;
  /** The multihash bytes of the PeerId. */
  readonly peerBytes: Uint8Array;
  /** All that it belongs to: several of one kind if it has several addresses. In none of a kind, no cap of it counts. */
  readonly groups: readonly DiversityGroup[];
}

export type RankedCandidate = Candidate & { readonly rank: Rank };

/** All candidates by their ranks under one VRF output, lowest first. */
export function rankCandidates(output: Uint8Array, candidates: Iterable<Candidate>): RankedCandidate[] {
  return rankLowest(output, candidates, Number.POSITIVE_INFINITY);
}

/** The first `count` of what `rankCandidates` gives, without an object for each of the others. */
export function rankLowest(output: Uint8Array, candidates: Iterable<Candidate>, count: number): RankedCandidate[] {
  if (!(count > 0)) return [];
  const hasher = new PrefixHasher(output);
  const lowest: RankedCandidate[] = [];
  let worst: Rank | undefined;
  for (const candidate of candidates) {
    const rank = hasher.hash(candidate.peerBytes);
    if (worst !== undefined && compareRanks(rank, worst) >= 0) continue;
    lowest.push({ ...candidate, rank: rank.slice() });
    if (lowest.length < 2 * count) continue;
    sortByRank(lowest).length = count;
    worst = lowest.at(-1)?.rank;
  }
  return sortByRank(lowest).slice(0, count);
}

function sortByRank(candidates: RankedCandidate[]): RankedCandidate[] {
  return candidates.sort((a, b) => compareRanks(a.rank, b.rank));
}

export interface Choice {
  /** As `rankCandidates` gives them: lowest rank first. */
  readonly ranked: readonly RankedCandidate[];
  /** How many are to be chosen now; those held are not among them. */
  readonly slots: number;
  /** Who occupies slots already: they count for the caps and are not chosen again. */
  readonly held: readonly Candidate[];
  readonly caps: DiversityCaps;
  /** Left out if false, such as a peer that cannot be reached. */
  readonly isUsable?: (candidate: RankedCandidate) => boolean;
}

/** The lowest ranks that the caps allow, at most `slots` of them, lowest first. */
export function chooseNeighbours({ ranked, slots, held, caps, isUsable }: Choice): RankedCandidate[] {
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  const chosen: RankedCandidate[] = [];
  for (const candidate of held) take(candidate, taken, counts);
  for (const candidate of ranked) {
    if (chosen.length >= slots) break;
    if (taken.has(candidate.peer) || exceedsCap(candidate, caps, counts)) continue;
    if (isUsable !== undefined && !isUsable(candidate)) continue;
    take(candidate, taken, counts);
    chosen.push(candidate);
  }
  return chosen;
}

function take({ peer, groups }: Candidate, taken: Set<string>, counts: Map<string, number>): void {
  if (taken.has(peer)) return;
  taken.add(peer);
  for (const group of new Set(groups.map(nameGroup))) counts.set(group, (counts.get(group) ?? 0) + 1);
}

function exceedsCap({ groups }: Candidate, caps: DiversityCaps, counts: ReadonlyMap<string, number>): boolean {
  return groups.some((group) => (counts.get(nameGroup(group)) ?? 0) >= caps[group.kind]);
}

function nameGroup({ kind, key }: DiversityGroup): string {
  return `${kind} ${key}`;
}

export interface RankBound {
  /** k: slots of a node. */
  readonly slots: number;
  /** c: room for caps and healing. */
  readonly slack: number;
  /** N: eligible nodes of the network, counted or estimated. */
  readonly networkSize: number;
}

/** Whether rank < 2^256 · min(1, c·k / N); exact for whole numbers. @throws RangeError unless all are finite and above zero */
export function isRankWithinBound(rank: Rank, { slots, slack, networkSize }: RankBound): boolean {
  const expected = slots * slack;
  if (!(expected > 0 && networkSize > 0 && networkSize < Number.POSITIVE_INFINITY)) {
    throw new RangeError('a bound of ranks needs sizes above zero');
  }
  if (expected >= networkSize) return true;
  return readRank(rank) * countParts(networkSize) < countParts(expected) << 256n;
}

function countParts(size: number): bigint {
  return Number.isInteger(size) ? BigInt(size) * BigInt(PARTS) : BigInt(Math.round(size * PARTS));
}

function readRank(rank: Rank): bigint {
  const view = new DataView(rank.buffer, rank.byteOffset, RANK_BYTES);
  let value = 0n;
  for (let offset = 0; offset < RANK_BYTES; offset += 8) value = (value << 64n) | view.getBigUint64(offset);
  return value;
}

export interface Age {
  /** The epoch in which the pair of PeerId and VRF key was registered, or first seen where there is no registry. */
  readonly firstSeenEpoch: number;
  readonly epoch: number;
}

/** Two epochs old: the key was fixed before the beacon of `epoch` could be known. */
export function isEligible({ firstSeenEpoch, epoch }: Age): boolean {
  return firstSeenEpoch + ELIGIBLE_AFTER_EPOCHS <= epoch;
}

/** Up for less than two epochs: it cannot tell how old others are, takes everybody it knows, and says so. */
export function isGenesis({ upSinceEpoch, epoch }: { readonly upSinceEpoch: number; readonly epoch: number }): boolean {
  return !isEligible({ firstSeenEpoch: upSinceEpoch, epoch });
}
