/**
 * Values of the beacon (design section 5; docs/beacon.md has vectors):
 *   chain: SHA-256("fogproof/beacon@1" ‖ network id ‖ u64 round ‖ block hash)
 *   time:  SHA-256("fogproof/beacon-time@1" ‖ network id ‖ u64 round)
 *   fixed: SHA-256("fogproof/beacon-fixed@1" ‖ network id ‖ u64 round ‖ seed)
 * Text is UTF-8, u64 big-endian, the block hash 32 bytes. What follows the network id has a fixed length, so no two
 * inputs give the same bytes; the tags keep the three apart.
 */
import { concatBytes, encodeU64, encodeUtf8 } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';

export interface RoundOfNetwork {
  readonly networkId: string;
  readonly round: number;
}

export function computeChainBeacon(of: RoundOfNetwork, blockHash: Uint8Array): Uint8Array {
  return sha256(concatBytes(encodeRound('fogproof/beacon@1', of), blockHash));
}

export function computeTimeBeacon(of: RoundOfNetwork): Uint8Array {
  return sha256(encodeRound('fogproof/beacon-time@1', of));
}

/** @param seed 32 bytes */
export function computeFixedBeacon(of: RoundOfNetwork, seed: Uint8Array): Uint8Array {
  return sha256(concatBytes(encodeRound('fogproof/beacon-fixed@1', of), seed));
}

function encodeRound(tag: string, { networkId, round }: RoundOfNetwork): Uint8Array {
  return concatBytes(encodeUtf8(tag), encodeUtf8(networkId), encodeU64(round));
}
