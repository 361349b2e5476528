/**
 * identity owns the node's keys: the Ed25519 identity (libp2p PeerId), the separate ECVRF key derived from its seed by
 * HKDF, the encrypted keystore on disk and the encrypted backup.
 * It does not own what is signed (proofs) nor who trusts it (network).
 */
import type { PrivateKey } from '@libp2p/interface';
import type { PeerKey } from '../domain/ids.ts';
import type { EnvelopeSigner } from '../proofs/interface.ts';

export interface Identity extends EnvelopeSigner {
  readonly peer: PeerKey;
  /** For the libp2p host only. */
  readonly privateKey: PrivateKey;
  /** ECVRF public key (32 bytes). */
  readonly vrfPublicKey: Uint8Array;
  /**
   * A bare Ed25519 signature (64 bytes) over `bytes`, for formats that are no libp2p envelope, such as DSSE. The caller
   * gives bytes that separate their domain themselves: no two formats may produce the same.
   */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * The proof (80 bytes, RFC 9381) of `vrfPublicKey` for `input`, which separates its domain itself and is public: how
   * long the proof takes may tell something about it.
   */
  proveVrf(input: Uint8Array): Promise<Uint8Array>;
}

/** An identity whose seed is at hand: the wallet that is derived from it needs no file and no backup of its own. */
export interface WalletKeySource {
  /** The 32-byte Ed25519 seed of the Solana wallet. Secret: whoever has it spends what the wallet holds. */
  deriveWalletKey(): Uint8Array;
}

/** An identity whose seed is at hand: what it keeps sealed on disk needs no key file of its own. */
export interface StoreKeySource {
  /** 32 bytes that wrap the keys of private blobs. Secret. */
  deriveStoreKey(): Uint8Array;
}
