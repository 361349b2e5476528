import type { PeerKey } from '../domain/ids.ts';

/** What signing needs of an identity; `identity/` provides it. */
export interface EnvelopeSigner {
  readonly peer: PeerKey;
  /** A libp2p signed envelope (RFC 0002) over `payload`, marshalled. */
  seal(domain: string, payloadType: Uint8Array, payload: Uint8Array): Promise<Uint8Array>;
}
