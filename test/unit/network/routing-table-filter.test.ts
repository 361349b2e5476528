import type { PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { RoutingTableFilter } from '../../../src/network/discovery/routing-table-filter.ts';
import { createTestIdentity } from '../../support/network.ts';

interface Contact {
  readonly peerId: PeerId;
  readonly kadId: Uint8Array;
}

/** As @libp2p/kad-dht 16 adds: a ping, then into a bucket, then the news of it. Two buckets, by the last bit. */
class Tree {
  readonly buckets: { peers: Contact[] }[] = [{ peers: [] }, { peers: [] }];
  pings = 0;
  verify = async (_contact: Contact): Promise<boolean> => {
    this.pings += 1;
    return true;
  };
  onAdd = async (_contact: Contact, _bucket: object): Promise<void> => undefined;

  async add(contact: Contact): Promise<void> {
    const bucket = this.buckets[(contact.kadId[0] ?? 0) % 2];
    if (bucket === undefined || !(await this.verify(contact))) return;
    bucket.peers.push(contact);
    await this.onAdd(contact, bucket);
  }

  async remove(kadId: Uint8Array): Promise<void> {
    for (const bucket of this.buckets) bucket.peers = bucket.peers.filter((peer) => peer.kadId !== kadId);
  }

  *toIterable(): Iterable<Contact> {
    for (const { peers } of this.buckets) yield* peers;
  }
}

const createContact = async (bucket: number): Promise<Contact> => ({
  peerId: peerIdFromString((await createTestIdentity()).peer),
  kadId: Uint8Array.of(bucket),
});

function attach(tree: unknown, addressOf: () => string, onRefused: () => void = () => undefined): void {
  const dht = { routingTable: { kb: tree } } as unknown as KadDHT;
  const addressesOf = async () => [multiaddr(addressOf())];
  new RoutingTableFilter({ dht, addressesOf, onRefused }, { perBucket: 2, perTable: 3 }).attach();
}

describe('the routing table', () => {
  it('takes a few of one address group in a bucket and in all, and pings no more', async () => {
    const tree = new Tree();
    let refused = 0;
    let address = '/ip4/192.0.2.1/tcp/1';
    attach(
      tree,
      () => address,
      () => {
        refused += 1;
      },
    );
    for (const bucket of [0, 0, 0, 1, 1, 1]) await tree.add(await createContact(bucket));
    expect(tree.buckets.map(({ peers }) => peers.length)).toEqual([2, 1]);
    expect(refused).toBe(3);
    expect(tree.pings).toBe(4);
    address = '/ip4/198.51.100.1/tcp/1';
    await tree.add(await createContact(0));
    expect(tree.buckets[0]?.peers).toHaveLength(3);
  });

  it('holds to that when pings run side by side', async () => {
    const tree = new Tree();
    attach(tree, () => '/ip6/2001:db8:1::1/tcp/1');
    const contacts = await Promise.all(Array.from({ length: 6 }, () => createContact(1)));
    await Promise.all(contacts.map((contact) => tree.add(contact)));
    expect([...tree.toIterable()]).toHaveLength(2);
  });

  it('of a library that is built otherwise stops the start', () => {
    expect(() => attach({}, () => '')).toThrow(TypeError);
  });
});
