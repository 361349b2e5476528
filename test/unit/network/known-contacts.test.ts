import type { PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import { peerIdFromString } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { KnownContacts } from '../../../src/network/discovery/known-contacts.ts';
import { createTestIdentity } from '../../support/network.ts';

interface Contact {
  readonly peerId: PeerId;
  readonly kadId: Uint8Array;
}

/** As @libp2p/kad-dht 16 is built, as far as it is used. */
class Dht {
  readonly contacts: Contact[] = [];
  readonly updates: string[] = [];
  readonly told: string[] = [];
  readonly routingTable = {
    kb: {
      verify: async () => true,
      onAdd: async (_contact: Contact, _bucket: object): Promise<void> => undefined,
      onRemove: async (_contact: Contact, _bucket: object): Promise<void> => undefined,
      remove: async () => undefined,
      toIterable: () => this.contacts,
    },
    queueRoutingTableUpdate: (peer: PeerId) => void this.updates.push(peer.toString()),
  };
  readonly network = {
    safeDispatchEvent: (type: string, init?: { readonly detail?: unknown }) => {
      this.told.push(type === 'peer' ? String((init?.detail as { id?: PeerId } | undefined)?.id) : type);
      return true;
    },
  };

  /** An answer that names a peer. */
  name(peer: PeerId): void {
    this.routingTable.queueRoutingTableUpdate(peer);
    this.network.safeDispatchEvent('peer', { detail: { id: peer } });
  }
}

const createPeer = async (): Promise<PeerId> => peerIdFromString((await createTestIdentity()).peer);
const asContact = (peerId: PeerId): Contact => ({ peerId, kadId: Uint8Array.of(1) });

async function attach(contacts: readonly PeerId[] = []) {
  const dht = new Dht();
  dht.contacts.push(...contacts.map(asContact));
  const self = await createPeer();
  const connected = new Set<string>();
  const isConnected = (peer: PeerId): boolean => connected.has(peer.toString());
  new KnownContacts({ dht: dht as unknown as KadDHT, self, isConnected }).attach();
  return { dht, self, connected };
}

describe('what answers of the DHT name', () => {
  it('is learnt if it is new', async () => {
    const { dht, connected } = await attach();
    const stranger = await createPeer();
    connected.add(stranger.toString());
    dht.name(stranger);
    expect(dht.updates).toEqual([stranger.toString()]);
    expect(dht.told).toEqual([stranger.toString()]);
  });

  it('is left out if it is this node', async () => {
    const { dht, self } = await attach();
    dht.name(self);
    expect([...dht.updates, ...dht.told]).toEqual([]);
  });

  it('of a contact is its addresses, and only while it is not connected', async () => {
    const contact = await createPeer();
    const { dht, connected } = await attach([contact]);
    dht.name(contact);
    expect(dht.updates).toEqual([]);
    expect(dht.told).toEqual([contact.toString()]);
    connected.add(contact.toString());
    dht.name(contact);
    expect(dht.told).toHaveLength(1);
  });

  it('follows the table', async () => {
    const { dht } = await attach();
    const { kb } = dht.routingTable;
    const contact = asContact(await createPeer());
    await kb.onAdd(contact, {});
    dht.name(contact.peerId);
    expect(dht.updates).toEqual([]);
    await kb.onRemove(contact, {});
    dht.name(contact.peerId);
    expect(dht.updates).toEqual([contact.peerId.toString()]);
  });

  it('follows a table that takes a contact out again while it is told of it', async () => {
    const dht = new Dht();
    const { kb } = dht.routingTable;
    kb.onAdd = (contact, bucket) => kb.onRemove(contact, bucket);
    const self = await createPeer();
    new KnownContacts({ dht: dht as unknown as KadDHT, self, isConnected: () => false }).attach();
    const contact = asContact(await createPeer());
    await kb.onAdd(contact, {});
    dht.name(contact.peerId);
    expect(dht.updates).toEqual([contact.peerId.toString()]);
  });

  it('passes other news of the network on', async () => {
    const { dht } = await attach();
    dht.network.safeDispatchEvent('start');
    expect(dht.told).toEqual(['start']);
  });

  it('of a library that is built otherwise stops the start', async () => {
    const self = await createPeer();
    const { kb } = new Dht().routingTable;
    for (const dht of [{}, { routingTable: { kb } }]) {
      const contacts = new KnownContacts({ dht: dht as unknown as KadDHT, self, isConnected: () => true });
      expect(() => contacts.attach()).toThrow(TypeError);
    }
  });
});
