import { z } from 'zod';
import { PeerKey } from '../../domain/ids.ts';
import { decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Codec, Database, Repository } from '../../storage/interface.ts';
import { MAX_ADDRESSES, MAX_REMEMBERED_PEERS, REMEMBERED_TTL_MS } from '../constants.ts';
import { collectAddressGroups } from '../neighbours/candidates/address-groups.ts';

const timesSchema = z.int().min(0);
const knownPeerSchema = z.strictObject({
  addresses: z.array(z.string().max(256)).max(MAX_ADDRESSES),
  lastSuccessMs: timesSchema,
  /** When each address was last told or used; absent in entries of earlier versions. */
  addressSeenMs: z.array(timesSchema).max(MAX_ADDRESSES).optional(),
  /** Failed dials since the last success. */
  failures: z.int().min(0).optional(),
});
export type KnownPeer = z.output<typeof knownPeerSchema>;

export const KNOWN_PEER_CODEC: Codec<KnownPeer> = {
  encode: (value) => encodeCanonical(value),
  decode: (bytes) => knownPeerSchema.parse(decodeCanonical(bytes, { maxBytes: 8 * 1024 })),
};

export interface RememberedPeer extends KnownPeer {
  readonly peer: PeerKey;
}

/** An address that was neither told nor used for so long is forgotten, in ms: 7 days. */
export const ADDRESS_TTL_MS = 7 * 24 * 3_600_000;
/** Time after which a success counts half, in ms: 3 days. */
const SUCCESS_HALF_LIFE_MS = 3 * 24 * 3_600_000;
/** So many failures in a row, and a day without success: forgotten. */
export const FORGET_AFTER_FAILURES = 6;
const FORGET_AFTER_MS = 24 * 3_600_000;

/** Between 0 and 1: how much is to be hoped of dialling a peer. A failure counts as much as three days without success. */
export function scoreKnownPeer(
  { lastSuccessMs, failures = 0 }: Pick<KnownPeer, 'lastSuccessMs' | 'failures'>,
  nowMs: number,
): number {
  return 2 ** (-Math.max(0, nowMs - lastSuccessMs) / SUCCESS_HALF_LIFE_MS - failures);
}

/** Peers that worked before, kept over restarts so that no bootstrap peer is needed twice. */
export class KnownPeers {
  readonly #repository: Repository<KnownPeer>;
  readonly #clock: Clock;
  readonly #maxPerGroup: number;

  constructor(
    modules: { readonly database: Database; readonly clock: Clock },
    { maxPerGroup = Number.POSITIVE_INFINITY }: { readonly maxPerGroup?: number } = {},
  ) {
    this.#repository = modules.database.repository('known-peers', KNOWN_PEER_CODEC);
    this.#clock = modules.clock;
    this.#maxPerGroup = maxPerGroup;
  }

  /** The most promising first. Drops what is old, what fails, and what is beyond the bounds. */
  async load(): Promise<readonly RememberedPeer[]> {
    const nowMs = this.#clock.nowMs();
    const all: RememberedPeer[] = [];
    for await (const [key, value] of this.#repository.entries()) {
      all.push({ peer: PeerKey(key), ...forgetAddresses(value, nowMs) });
    }
    all.sort((a, b) => scoreKnownPeer(b, nowMs) - scoreKnownPeer(a, nowMs));
    const kept = this.#limitGroups(all.filter((entry) => isWorthKeeping(entry, nowMs))).slice(0, MAX_REMEMBERED_PEERS);
    const keptPeers = new Set(kept.map((entry) => entry.peer));
    for (const entry of all) if (!keptPeers.has(entry.peer)) await this.#repository.delete(entry.peer);
    return kept;
  }

  /** It answered, and told or used these addresses; of earlier ones those stay that are not old. */
  async remember(peer: PeerKey, addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0) return;
    const nowMs = this.#clock.nowMs();
    const seen = new Map(addresses.map((address) => [address, nowMs]));
    const before = await this.#repository.get(peer);
    if (before !== undefined) {
      const { addresses: earlier, addressSeenMs = [], lastSuccessMs } = forgetAddresses(before, nowMs);
      for (const [index, address] of earlier.entries()) {
        if (!seen.has(address)) seen.set(address, addressSeenMs[index] ?? lastSuccessMs);
      }
    }
    const kept = [...seen].slice(0, MAX_ADDRESSES);
    await this.#repository.put(peer, {
      addresses: kept.map(([address]) => address),
      addressSeenMs: kept.map(([, seenMs]) => seenMs),
      lastSuccessMs: nowMs,
      failures: 0,
    });
  }

  /** It could not be dialled. Nothing is kept of a peer that never worked. */
  async noteFailure(peer: PeerKey): Promise<void> {
    const entry = await this.#repository.get(peer);
    if (entry === undefined) return;
    await this.#repository.put(peer, { ...entry, failures: (entry.failures ?? 0) + 1 });
  }

  /** Of each address group the most promising, as many as may be. */
  #limitGroups(sorted: readonly RememberedPeer[]): readonly RememberedPeer[] {
    const counts = new Map<string, number>();
    return sorted.filter(({ addresses }) => {
      const [group] = collectAddressGroups(addresses, { usesPrivate: true });
      if (group === undefined) return true;
      const count = (counts.get(group.key) ?? 0) + 1;
      counts.set(group.key, count);
      return count <= this.#maxPerGroup;
    });
  }
}

function isWorthKeeping({ lastSuccessMs, failures = 0 }: KnownPeer, nowMs: number): boolean {
  const ageMs = nowMs - lastSuccessMs;
  return ageMs <= REMEMBERED_TTL_MS && (failures < FORGET_AFTER_FAILURES || ageMs < FORGET_AFTER_MS);
}

/** The newest address stays, however old: without any, nobody could be dialled. */
function forgetAddresses(entry: KnownPeer, nowMs: number): KnownPeer {
  const { addresses, addressSeenMs = [], lastSuccessMs } = entry;
  const seenMs = addresses.map((_, index) => addressSeenMs[index] ?? lastSuccessMs);
  const newestMs = Math.max(...seenMs);
  const isKept = seenMs.map((atMs) => atMs === newestMs || nowMs - atMs <= ADDRESS_TTL_MS);
  return {
    ...entry,
    addresses: addresses.filter((_, index) => isKept[index]),
    addressSeenMs: seenMs.filter((_, index) => isKept[index]),
  };
}
