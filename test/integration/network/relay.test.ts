import type { Connection } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import fc from 'fast-check';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, it } from 'vitest';
import { BlobId, ObjectId } from '../../../src/domain/ids.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';
import { isRelayed } from '../../../src/network/reachability/address-scope.ts';
import { REACHABILITY_DEFAULTS, type ReachabilityOptions } from '../../../src/network/reachability/options.ts';
import { terms } from '../../support/domain-arbitraries.ts';
import { startTestNode, TEST_CONTENT, type TestNode, type TestNodeSetup, until } from '../../support/network.ts';

const BLOB = BlobId(computeRawCid(new Uint8Array([1])).toString());
const BLOB_REQUEST = { op: 'read' as const, blob: BLOB, offset: 0, maxBytes: 1024 };

const [TERMS] = fc.sample(terms, { seed: 1, numRuns: 1 });
if (TERMS === undefined) throw new Error('no terms were drawn');
const OFFER_ASK = {
  op: 'ask' as const,
  subject: ObjectId(computeObjectCid(encodeCanonical('job')).toString()),
  terms: TERMS,
  attempts: 1,
};

const nodes: TestNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
});

type Relay = Partial<ReachabilityOptions['relay']>;

async function start(relay: Relay, options: TestNodeSetup['options'] = {}): Promise<TestNode> {
  const reachability = { autonat: false, upnp: false, relay: { ...REACHABILITY_DEFAULTS.relay, ...relay } };
  const node = await startTestNode({ options: { reachability, ...options } });
  nodes.push(node);
  await node.network.updateRecord(TEST_CONTENT);
  return node;
}

const recordOf = (node: TestNode, other: TestNode) => node.network.peers.get(other.identity.peer)?.record ?? null;

/** Listens on no address and has a place at the relay. */
async function startHidden(relay: TestNode): Promise<TestNode> {
  const hidden = await start({ client: 'on', service: 'off' }, { listen: [], bootstrap: [relay.address()] });
  await until(hidden, () => hidden.network.status().reachability.relays.includes(relay.identity.peer));
  return hidden;
}

async function startRelay(): Promise<TestNode> {
  const relay = await start({ service: 'on', client: 'off' });
  await until(relay, () => relay.network.status().reachability.relaying !== null);
  return relay;
}

describe('a node that listens nowhere', () => {
  it('is found and asked for an offer through a relay, and gives no blob that way', async () => {
    const relay = await startRelay();
    const hidden = await startHidden(relay);
    hidden.network.handle('offer', async function* () {
      yield { kind: 'noted', isWanted: true };
    });
    hidden.network.handle('blob', async function* () {
      yield { kind: 'not-found' };
    });
    const status = hidden.network.status();
    expect(status.reachability).toMatchObject({ kind: 'private', relays: [relay.identity.peer] });
    await until(relay, () => relay.network.status().reachability.relaying?.taken === 1);
    await until(relay, () => (recordOf(relay, hidden)?.value.addresses.length ?? 0) > 0);
    const told = recordOf(relay, hidden)?.value.addresses ?? [];
    expect(told.every((address) => isRelayed(multiaddr(address)))).toBe(true);

    const asker = await startHidden(relay);
    await until(asker, () => recordOf(asker, hidden) !== null);
    const answer = await asker.network.request(hidden.identity.peer, 'offer', OFFER_ASK);
    expect(answer).toEqual({ kind: 'noted', isWanted: true });
    expect(asker.network.peers.get(hidden.identity.peer)?.addresses[0]).toContain('/p2p-circuit');
    await expect(asker.network.request(hidden.identity.peer, 'blob', BLOB_REQUEST)).rejects.toMatchObject({
      code: 'NETWORK_RELAYED_ONLY',
    });
  });

  it('connects directly to whoever came through the relay, where that is possible, and then gives blobs too', async () => {
    const relay = await startRelay();
    const hidden = await startHidden(relay);
    hidden.network.handle('blob', async function* () {
      yield { kind: 'not-found' };
    });
    const asker = await start({ client: 'on', service: 'off' }, { bootstrap: [relay.address()] });
    await until(asker, () => (recordOf(asker, hidden)?.value.addresses.length ?? 0) > 0);
    const [address = ''] = recordOf(asker, hidden)?.value.addresses ?? [];
    await asker.network.connect(address);
    // The relay, the one through the relay, and that by which the hidden node came back.
    await until(asker, () => asker.network.status().connections === 3);
    const answer = await asker.network.request(hidden.identity.peer, 'blob', BLOB_REQUEST);
    expect(answer).toEqual({ kind: 'not-found' });
  });

  it('tells the address at which it reached the relay, and not what the relay says of itself', async () => {
    const relay = await startRelay();
    const address = relay.address().replace('/ip4/127.0.0.1/', '/dns4/localhost/');
    const hidden = await start({ client: 'on', service: 'off' }, { listen: [], bootstrap: [address] });
    await until(relay, () => (recordOf(relay, hidden)?.value.addresses.length ?? 0) > 0);
    const { peer } = hidden.identity;
    expect(recordOf(relay, hidden)?.value.addresses).toEqual([`${address}/p2p-circuit/p2p/${peer}`]);
  });

  it('takes no place at a peer that only says that it relays a connection', async () => {
    const hidden = await start({ client: 'on', service: 'off' }, { listen: [] });
    await using liar = await startLiar();
    await hidden.network.connect(liar.address);
    await liar.claimToRelay();
    expect(liar.wasAskedForPlace()).toBe(false);
    expect(hidden.network.status().reachability.relays).toEqual([]);
  });
});

/** A plain libp2p host that opens the stream of a relay towards a node that never asked it for anything. */
async function startLiar() {
  let wasAsked = false;
  const liar = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
  });
  const connected = new Promise<Connection>((resolve) => {
    liar.addEventListener('connection:open', ({ detail }) => resolve(detail));
  });
  await liar.handle('/libp2p/circuit/relay/0.2.0/hop', () => {
    wasAsked = true;
  });
  return {
    address: liar.getMultiaddrs()[0]?.toString() ?? '',
    wasAskedForPlace: () => wasAsked,
    /** Resolves when the other side has ended it. */
    claimToRelay: async (): Promise<void> => {
      const stream = await (await connected).newStream('/libp2p/circuit/relay/0.2.0/stop', {
        negotiateFully: true,
      });
      if (stream.status === 'open') {
        await new Promise<void>((resolve) => stream.addEventListener('close', () => resolve()));
      }
    },
    [Symbol.asyncDispose]: async () => {
      await liar.stop();
    },
  };
}
