import type { PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import { type DhtTree, findDhtTree } from './dht-tree.ts';

/** What @libp2p/kad-dht 16 has beyond its interface, as far as it is used here. */
interface DhtParts {
  readonly routingTable: { queueRoutingTableUpdate: (peer: PeerId, options?: object) => void };
  readonly network: { safeDispatchEvent: (type: string, init?: { readonly detail?: unknown }) => boolean };
}

export interface KnownContactsModules {
  readonly dht: KadDHT;
  readonly self: PeerId;
  readonly isConnected: (peer: PeerId) => boolean;
  /** A peer was put into the routing table. */
  readonly onContact?: () => void;
}

/**
 * Keeps the DHT from learning again and again what it knows. Each answer to a query names twenty peers; @libp2p/kad-dht
 * queues for each one an update of its routing table, which for a contact that is there does nothing (and for this node
 * itself a ping that cannot succeed), and a write of its addresses to the peer store. Of a query that was more than half of
 * its processor time. What is left out: updates for contacts of the table and for this node, and the addresses that
 * others tell of a peer that is in the table and connected, which by identify has told them itself.
 */
export class KnownContacts {
  readonly #modules: KnownContactsModules;
  readonly #known = new Set<string>();

  constructor(modules: KnownContactsModules) {
    this.#modules = modules;
  }

  /** @throws TypeError if the library has another shape */
  attach(): void {
    const { dht, self, isConnected } = this.#modules;
    const tree = findDhtTree(dht);
    const { routingTable, network } = findParts(dht);
    for (const { peerId } of tree.toIterable()) this.#known.add(peerId.toString());
    this.#follow(tree);
    const queueUpdate = routingTable.queueRoutingTableUpdate.bind(routingTable);
    routingTable.queueRoutingTableUpdate = (peer, options) => {
      if (!self.equals(peer) && !this.has(peer)) queueUpdate(peer, options);
    };
    const dispatch = network.safeDispatchEvent.bind(network);
    network.safeDispatchEvent = (type, init) => {
      const peer = type === 'peer' ? readPeer(init?.detail) : null;
      if (peer !== null && (self.equals(peer) || (this.has(peer) && isConnected(peer)))) return false;
      return dispatch(type, init);
    };
  }

  get size(): number {
    return this.#known.size;
  }

  has(peer: PeerId): boolean {
    return this.#known.has(peer.toString());
  }

  #follow(tree: DhtTree): void {
    const { onAdd, onRemove } = tree;
    tree.onAdd = async (contact, bucket, options) => {
      // It is in the bucket by now. First, since those who are told may take it out again.
      this.#known.add(contact.peerId.toString());
      await onAdd?.(contact, bucket, options);
      this.#modules.onContact?.();
    };
    tree.onRemove = async (contact, bucket, options) => {
      this.#known.delete(contact.peerId.toString());
      await onRemove?.(contact, bucket, options);
    };
  }
}

function findParts(dht: KadDHT): DhtParts {
  const { routingTable, network } = dht as unknown as {
    readonly [Name in keyof DhtParts]?: Partial<DhtParts[Name]>;
  };
  const isKnown =
    typeof routingTable?.queueRoutingTableUpdate === 'function' && typeof network?.safeDispatchEvent === 'function';
  if (!isKnown) throw new TypeError('@libp2p/kad-dht has another shape than version 16');
  return dht as unknown as DhtParts;
}

function readPeer(detail: unknown): PeerId | null {
  const id = (detail as { readonly id?: PeerId } | undefined)?.id;
  return typeof id?.equals === 'function' ? id : null;
}
