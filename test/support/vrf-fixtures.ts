import { ed25519 } from '@noble/curves/ed25519.js';
import { base58btc } from 'multiformats/bases/base58';
import { PeerKey } from '../../src/domain/ids.ts';
import { deriveVrfKey } from '../../src/identity/vrf-key.ts';
import { concatBytes, encodeUtf8 } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { proveVrf } from '../../src/vrf/ecvrf.ts';
import type { Candidate, DiversityCaps, DiversityGroup } from '../../src/vrf/selection.ts';

/** A PeerId of an Ed25519 key is the identity multihash of the key in libp2p's protobuf. */
const PEER_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

export const NO_CAPS: DiversityCaps = {
  address: Number.POSITIVE_INFINITY,
  asn: Number.POSITIVE_INFINITY,
  operator: Number.POSITIVE_INFINITY,
};

/** A peer with real keys, the same for the same number. */
export interface VrfPeer extends Candidate {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly vrfPublicKey: Uint8Array;
  prove(input: Uint8Array): Uint8Array;
}

export function createVrfPeer(number: number, groups: readonly DiversityGroup[] = []): VrfPeer {
  const seed = sha256(encodeUtf8(`peer ${number}`));
  const publicKey = ed25519.getPublicKey(seed);
  const peerBytes = concatBytes(PEER_PREFIX, publicKey);
  const vrfKey = deriveVrfKey(seed);
  return {
    peer: PeerKey(base58btc.baseEncode(peerBytes)),
    peerBytes,
    groups,
    publicKey,
    vrfPublicKey: vrfKey.publicKey,
    prove: (input) => proveVrf(vrfKey.secretKey, input),
  };
}
