import { z } from 'zod';
import { PeerKey } from '../../domain/ids.ts';
import { decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Codec, Database, Repository } from '../../storage/interface.ts';
import { MAX_ADDRESSES, MAX_REMEMBERED_PEERS, REMEMBERED_TTL_MS } from '../constants.ts';

const knownPeerSchema = z.strictObject({
  addresses: z.array(z.string().max(256)).max(MAX_ADDRESSES),
  lastSuccessMs: z.int().min(0),
});
export type KnownPeer = z.output<typeof knownPeerSchema>;

export const KNOWN_PEER_CODEC: Codec<KnownPeer> = {
  encode: (value) => encodeCanonical(value),
  decode: (bytes) => knownPeerSchema.parse(decodeCanonical(bytes, { maxBytes: 8 * 1024 })),
};

export interface RememberedPeer extends KnownPeer {
  readonly peer: PeerKey;
}

/** Peers that worked before, kept over restarts so that no bootstrap peer is needed twice. */
export class KnownPeers {
  readonly #repository: Repository<KnownPeer>;
  readonly #clock: Clock;

  constructor(modules: { readonly database: Database; readonly clock: Clock }) {
    this.#repository = modules.database.repository('known-peers', KNOWN_PEER_CODEC);
    this.#clock = modules.clock;
  }

  /** Those that answered lately, the latest first. Drops the forgotten and what is beyond the bound. */
  async load(): Promise<readonly RememberedPeer[]> {
    const all: RememberedPeer[] = [];
    const oldestMs = this.#clock.nowMs() - REMEMBERED_TTL_MS;
    for await (const [key, value] of this.#repository.entries()) all.push({ peer: PeerKey(key), ...value });
    all.sort((a, b) => b.lastSuccessMs - a.lastSuccessMs);
    const kept = all.slice(0, MAX_REMEMBERED_PEERS).filter((entry) => entry.lastSuccessMs >= oldestMs);
    const keptPeers = new Set(kept.map((entry) => entry.peer));
    for (const entry of all) if (!keptPeers.has(entry.peer)) await this.#repository.delete(entry.peer);
    return kept;
  }

  async remember(peer: PeerKey, addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0) return;
    const lastSuccessMs = this.#clock.nowMs();
    await this.#repository.put(peer, { addresses: addresses.slice(0, MAX_ADDRESSES), lastSuccessMs });
  }
}
