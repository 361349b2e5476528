import type { PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import type { AbortOptions } from '../../lib/abort.ts';

/** What the routing table of @libp2p/kad-dht 16 has beyond its interface, as far as it is used here. */
export interface DhtContact {
  readonly peerId: PeerId;
  readonly kadId: Uint8Array;
}
export interface DhtBucket {
  readonly peers?: readonly DhtContact[];
}
export interface DhtTree {
  verify: (contact: DhtContact, options?: AbortOptions) => Promise<boolean>;
  onAdd?: (contact: DhtContact, bucket: DhtBucket, options?: AbortOptions) => Promise<void>;
  onRemove?: (contact: DhtContact, bucket: DhtBucket, options?: AbortOptions) => Promise<void>;
  remove(kadId: Uint8Array, options?: AbortOptions): Promise<void>;
  toIterable(): Iterable<DhtContact>;
}

/** @throws TypeError if the library's table has another shape: better no start than a filter that filters nothing */
export function findDhtTree(dht: KadDHT): DhtTree {
  const { routingTable } = dht as { readonly routingTable?: { readonly kb?: Partial<DhtTree> } };
  const tree = routingTable?.kb;
  const isKnown =
    typeof tree?.verify === 'function' && typeof tree.remove === 'function' && typeof tree.toIterable === 'function';
  if (!isKnown) throw new TypeError('the routing table of @libp2p/kad-dht has another shape than version 16');
  return tree as DhtTree;
}
