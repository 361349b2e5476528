/**
 * Addresses of Solana that no key has (solana.com/docs/core/pda; `Pubkey::find_program_address` of the SDK):
 *   address = SHA-256(seed 1 ‖ … ‖ seed n ‖ bump ‖ program ‖ "ProgramDerivedAddress")
 * for the largest bump, 255 first, that gives no point of the Ed25519 curve.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { encodeUtf8 } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';

/** MAX_SEEDS of the SDK, less one for the bump. */
const MAX_SEEDS = 15;
/** MAX_SEED_LEN of the SDK. */
const MAX_SEED_BYTES = 32;
const ADDRESS_BYTES = 32;
const MAX_BUMP = 255;
const MARKER = encodeUtf8('ProgramDerivedAddress');

export interface ProgramAddress {
  /** 32 bytes. */
  readonly address: Uint8Array;
  readonly bump: number;
}

/**
 * @param seeds at most 15, each of at most 32 bytes
 * @throws RangeError for seeds or a program that have another form
 */
export function findProgramAddress(seeds: readonly Uint8Array[], program: Uint8Array): ProgramAddress {
  if (seeds.length > MAX_SEEDS) throw new RangeError(`${seeds.length} seeds are too many`);
  if (seeds.some((seed) => seed.length > MAX_SEED_BYTES)) throw new RangeError('a seed is too long');
  if (program.length !== ADDRESS_BYTES) throw new RangeError('a program has an address of 32 bytes');
  for (let bump = MAX_BUMP; bump >= 0; bump--) {
    const address = sha256(...seeds, Uint8Array.of(bump), program, MARKER);
    if (!isOnCurve(address)) return { address, bump };
  }
  throw new RangeError('these seeds have no address');
}

/**
 * The chain decides with curve25519-dalek's `CompressedEdwardsY::decompress`, which accepts what ZIP 215 does:
 * a y that is not reduced, and x = 0 with the sign bit set.
 */
export function isOnCurve(bytes: Uint8Array): boolean {
  try {
    ed25519.Point.fromBytes(bytes, true);
    return true;
  } catch {
    return false;
  }
}
