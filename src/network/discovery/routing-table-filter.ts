import type { PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import type { Multiaddr } from '@multiformats/multiaddr';
import { collectAddressGroups } from '../neighbours/candidates/address-groups.ts';
import { type DhtContact, findDhtTree } from './dht-tree.ts';

export interface GroupCaps {
  /** Most peers of one address group (/24 of IPv4, /48 of IPv6) in one bucket, and in the whole table. */
  readonly perBucket: number;
  readonly perTable: number;
}

export interface RoutingTableFilterModules {
  readonly dht: KadDHT;
  /** The addresses of a peer: those of its connections, else what it tells. */
  readonly addressesOf: (peer: PeerId) => Promise<readonly Multiaddr[]>;
  readonly onRefused: () => void;
}

/**
 * Keeps one address group from filling the DHT's routing table. @libp2p/kad-dht has no hook for it (its `peerInfoMapper` sees
 * one peer, not the table; a connection gater would refuse the peer for everything), but calls two functions of its tree:
 * `verify` before a contact is pinged, and `onAdd` after it was put into a bucket. The first saves a ping, the second is
 * exact, since pings run side by side. go-libp2p-kad-dht does the same (its `peerdiversity` package).
 */
export class RoutingTableFilter {
  readonly #modules: RoutingTableFilterModules;
  readonly #caps: GroupCaps;
  readonly #groups = new WeakMap<DhtContact, readonly string[]>();

  constructor(modules: RoutingTableFilterModules, caps: GroupCaps) {
    this.#modules = modules;
    this.#caps = caps;
  }

  /** @throws TypeError if the library's table has another shape: better no start than a filter that filters nothing */
  attach(): void {
    if (!Number.isFinite(this.#caps.perTable) && !Number.isFinite(this.#caps.perBucket)) return;
    const tree = findDhtTree(this.#modules.dht);
    const { verify, onAdd } = tree;
    tree.verify = async (contact, options) => {
      await this.#learn(contact);
      if (!this.#isCrowded(contact, tree.toIterable(), this.#caps.perTable)) return verify(contact, options);
      this.#modules.onRefused();
      return false;
    };
    tree.onAdd = async (contact, bucket, options) => {
      await onAdd?.(contact, bucket, options);
      const isCrowded =
        this.#isCrowded(contact, bucket.peers ?? [], this.#caps.perBucket) ||
        this.#isCrowded(contact, tree.toIterable(), this.#caps.perTable);
      if (!isCrowded) return;
      this.#modules.onRefused();
      await tree.remove(contact.kadId, options);
    };
  }

  async #learn(contact: DhtContact): Promise<void> {
    const addresses = await this.#modules.addressesOf(contact.peerId);
    const groups = collectAddressGroups(addresses.map(String), { usesPrivate: true });
    this.#groups.set(
      contact,
      groups.map(({ key }) => key),
    );
  }

  /** Whether as many others as may be share one of its groups. */
  #isCrowded(contact: DhtContact, others: Iterable<DhtContact>, cap: number): boolean {
    const counts = new Map((this.#groups.get(contact) ?? []).map((group) => [group, 0]));
    if (counts.size === 0) return false;
    for (const other of others) {
      if (other.peerId.equals(contact.peerId)) continue;
      for (const group of this.#groups.get(other) ?? []) {
        const count = counts.get(group);
        if (count === undefined) continue;
        if (count + 1 >= cap) return true;
        counts.set(group, count + 1);
      }
    }
    return false;
  }
}
