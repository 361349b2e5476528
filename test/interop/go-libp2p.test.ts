import { createHash } from 'node:crypto';
import type { PeerId, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { afterEach, describe, expect, it } from 'vitest';
import { BlobId } from '../../src/domain/ids.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { computeRawCid } from '../../src/lib/cid.ts';
import { topicId } from '../../src/network/gossip/topics.ts';
import type { Host } from '../../src/network/host/create-host.ts';
import { decodeRecordWire, encodeRecordWire, openRecord } from '../../src/network/peers/record-wire.ts';
import { FrameWriter } from '../../src/network/reqresp/frame-writer.ts';
import { protocolId } from '../../src/network/reqresp/protocols.ts';
import { buildGoPeer, GoPeer, type GoPeerOptions } from '../support/go-peer.ts';
import { startInteropHost } from '../support/interop-host.ts';
import { describeIf } from '../support/needs.ts';
import { createTestIdentity, startTestNode, TEST_CONTENT, type TestNode, until } from '../support/network.ts';
import { signNodeRecord } from '../support/record-builder.ts';

const binary = await buildGoPeer();
const open: AsyncDisposable[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one[Symbol.asyncDispose]()));
});

interface StartedGoPeer {
  readonly go: GoPeer;
  readonly address: string;
  readonly identity: Identity;
}

async function startGo(options: Partial<GoPeerOptions> = {}): Promise<StartedGoPeer> {
  const identity = await createTestIdentity();
  const started = await GoPeer.start(binary.path, { identity, networkId: 'test', ...options });
  open.push(started.go);
  return { ...started, identity };
}

async function startNode(listen?: readonly string[]): Promise<TestNode> {
  const node = await startTestNode(listen === undefined ? {} : { options: { listen } });
  open.push(node);
  return node;
}

const hasRecordOf = (node: TestNode, { peer }: Identity) => node.network.peers.get(peer)?.record ?? null;

/** Until the Go peer's answer is as wanted: it has no events for these. */
async function untilGo<Answer>(ask: () => Promise<Answer>, isWanted: (answer: Answer) => boolean): Promise<Answer> {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    if (performance.now() > deadlineMs) throw new Error(`the Go peer still answers ${JSON.stringify(answer)}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 50);
    await promise;
  }
}

/** The host's monitor of connections pings too, and a peer takes one at a time. */
const pingOf = (host: Host, peer: PeerId): Promise<number> =>
  untilGo(
    () => host.services.ping.ping(peer).catch(() => Number.NaN),
    (latencyMs) => !Number.isNaN(latencyMs),
  );

interface GoIdentified {
  readonly agent: string;
  readonly protocols: readonly string[];
  readonly security: string;
  readonly muxer: string;
  readonly addresses: readonly string[];
  readonly hasSignedRecord: boolean;
}

/** What the Go peer has heard, as soon as it has verified the signed record of who dialled it. */
function identifiedBy(go: GoPeer, { peer }: Identity): Promise<GoIdentified> {
  return untilGo(
    () => go.call<GoIdentified>('identify', { peer }).catch(() => ({ hasSignedRecord: false }) as GoIdentified),
    ({ hasSignedRecord }) => hasSignedRecord,
  );
}

describeIf(binary.need, 'go-libp2p', () => {
  describe.each([
    ['tls', '/tls/1.0.0'],
    ['noise', '/noise'],
  ] as const)('over %s', (security, protocol) => {
    it('identifies and pings the node that dialled it', async () => {
      const node = await startNode();
      const { go, address } = await startGo({ security: [security] });
      await node.network.connect(address);
      const seen = await identifiedBy(go, node.identity);
      expect(seen).toMatchObject({
        agent: 'fogproof/test',
        security: protocol,
        muxer: '/yamux/1.0.0',
      });
      expect(seen.protocols).toEqual(
        expect.arrayContaining([
          '/fogproof/test/kad/1',
          '/meshsub/1.1.0',
          '/ipfs/ping/1.0.0',
          ...(['offer', 'job', 'blob', 'records', 'neighbour'] as const).map((name) => protocolId('test', name)),
        ]),
      );
      expect(await go.call<number>('ping', { peer: node.identity.peer })).toBeGreaterThan(0);
      expect(node.network.peers.get(go.peer)).toMatchObject({ encryption: protocol, direction: 'outbound' });
    });

    it('dials the node, which identifies and pings it', async () => {
      const { host } = await startInteropHost(open);
      const { go } = await startGo({ security: [security] });
      const identified = Promise.withResolvers<{ agentVersion?: string; protocols: readonly string[] }>();
      host.addEventListener('peer:identify', ({ detail }) => identified.resolve(detail), { once: true });
      await go.call('connect', { address: host.getMultiaddrs()[0]?.toString() });
      const { agentVersion, protocols } = await identified.promise;
      expect(agentVersion).toBe('fogproof-go-peer');
      expect(protocols).toEqual(expect.arrayContaining(['/fogproof/test/kad/1', '/meshsub/1.2.0']));
      const peer = peerIdFromString(go.peer);
      expect(host.getConnections(peer)[0]).toMatchObject({ encryption: protocol, multiplexer: '/yamux/1.0.0' });
      expect(await pingOf(host, peer)).toBeGreaterThanOrEqual(0);
    });
  });

  describe('in the DHT', () => {
    const isInTable = (go: GoPeer) =>
      untilGo(
        () => go.call<number>('dht-size'),
        (size) => size > 0,
      );

    it('keeps a node record that it has verified, and gives it to another node', async () => {
      const { go, address } = await startGo();
      const maker = await startNode();
      await maker.network.connect(address);
      await isInTable(go);
      await until(maker, () => maker.network.status().dhtPeers > 0);
      await maker.network.updateRecord(TEST_CONTENT);
      const key = `/fogproof-record/${maker.identity.peer}`;
      const stored = await untilGo(
        () => go.call<string>('get', { key }).catch(() => ''),
        (value) => value !== '',
      );
      const opened = await openRecord(decodeRecordWire(new Uint8Array(Buffer.from(stored, 'base64'))));
      expect(opened).toMatchObject({ kind: 'opened', record: { signer: maker.identity.peer } });

      await untilGo(
        () => go.call<number>('stored-values'),
        (count) => count > 0,
      );
      await maker.network.stop();
      const asker = await startNode();
      await asker.network.connect(address);
      await until(asker, () => asker.network.status().dhtPeers > 0);
      const found = await untilGo(
        () => asker.network.findRecord(maker.identity.peer),
        (record) => record !== null,
      );
      expect(found?.value.peer).toBe(maker.identity.peer);
    });

    it('puts a record that the node accepts, and none that it must refuse', async () => {
      const node = await startNode();
      const { go, address, identity } = await startGo();
      await node.network.connect(address);
      await isInTable(go);
      const key = `/fogproof-record/${go.peer}`;
      const put = async (changes: Parameters<typeof signNodeRecord>[2]) => {
        const { wire } = await signNodeRecord(identity, Date.now(), changes);
        await go.call('put', { key, data: Buffer.from(encodeRecordWire(wire)).toString('base64') });
      };
      await put({ network: 'other', sequence: 1 });
      expect(await node.network.findRecord(go.peer)).toBeNull();
      await put({ sequence: 2, software: 'go-peer' });
      const found = await untilGo(
        () => node.network.findRecord(go.peer),
        (record) => record !== null,
      );
      expect(found?.value).toMatchObject({ sequence: 2, software: 'go-peer' });
    });

    it('finds a peer through a node, and is asked for one by a node', async () => {
      const middle = await startNode();
      const far = await startNode();
      const { go, address } = await startGo();
      await far.network.connect(middle.address());
      await until(middle, () => middle.network.status().dhtPeers > 0);
      await go.call('connect', { address: middle.address() });
      await isInTable(go);
      const found = await untilGo(
        () => go.call<readonly string[]>('find-peer', { peer: far.identity.peer }).catch(() => []),
        (addresses) => addresses.length > 0,
      );
      expect(far.address()).toContain(found[0]);

      const { host } = await startInteropHost(open);
      await host.dial(multiaddr(address));
      const info = await untilGo(
        () => host.peerRouting.findPeer(peerIdFromString(middle.identity.peer)).catch(() => null),
        (peer) => peer !== null,
      );
      expect(info?.multiaddrs.map(String)).toContain(middle.address().replace(/\/p2p\/.*$/, ''));
    });

    it('provides and finds public blobs', async () => {
      const node = await startNode();
      const { go, address } = await startGo();
      await node.network.connect(address);
      await isInTable(go);
      await until(node, () => node.network.status().dhtPeers > 0);
      const [ours, theirs] = [1, 2].map((byte) => BlobId(computeRawCid(new Uint8Array([byte])).toString()));
      if (ours === undefined || theirs === undefined) throw new TypeError('two blobs were made');
      using _provided = node.network.content.provide(ours);
      await untilGo(
        () => go.call<readonly string[]>('find-providers', { cid: ours }),
        (peers) => peers.includes(node.identity.peer),
      );
      await go.call('provide', { cid: theirs });
      const search = { limit: 1, signal: AbortSignal.timeout(10_000) };
      const found: string[] = [];
      for await (const peer of node.network.content.findProviders(theirs, search)) found.push(peer);
      expect(found).toEqual([go.peer]);
    });
  });

  describe('in gossip', () => {
    const topic = topicId('test', 'records');
    const verdicts = (node: TestNode, verdict: string, code = '') =>
      node.metrics.read('fogproof_network_gossip_verdicts_total', { topic: 'records', verdict, code });
    const subscribes = (go: GoPeer, ...nodes: readonly TestNode[]) =>
      untilGo(
        () => go.call<readonly string[]>('subscribers', { topic }),
        (peers) => nodes.every(({ identity }) => peers.includes(identity.peer)),
      );
    const isInMesh = (node: TestNode) =>
      until(node, () => (node.network.status().gossip['records']?.meshPeers ?? 0) > 0, 20_000);

    /** Two nodes that can reach each other only through the Go peer: neither can be dialled. */
    async function startAround() {
      const started = await startGo();
      await started.go.call('subscribe', { topic });
      const left = await startNode([]);
      const right = await startNode([]);
      for (const node of [left, right]) await node.network.connect(started.address);
      await subscribes(started.go, left, right);
      await Promise.all([isInMesh(left), isInMesh(right)]);
      return { ...started, left, right };
    }

    it('hears a node record, and passes it on to a node that its maker does not know', async () => {
      const { go, left, right } = await startAround();
      await left.network.updateRecord(TEST_CONTENT);
      const message = await go.message(({ from }) => from === left.identity.peer);
      expect(message).toMatchObject({ topic, receivedFrom: left.identity.peer });
      await until(right, () => hasRecordOf(right, left.identity) !== null, 20_000);
      await until(right, () => verdicts(right, 'accept') > 0);
      expect(right.network.peers.get(left.identity.peer)?.isConnected ?? false).toBe(false);
    });

    it('publishes a record of its own, which the nodes accept', async () => {
      const { go, identity, left, right } = await startAround();
      const { wire } = await signNodeRecord(identity, Date.now());
      await go.call('publish', { topic, data: Buffer.from(encodeRecordWire(wire)).toString('base64') });
      for (const node of [left, right]) {
        await until(node, () => hasRecordOf(node, identity) !== null, 20_000);
        await until(node, () => verdicts(node, 'accept') === 1);
      }
    });

    it('is refused and penalised for garbage, and for the record of another', async () => {
      const { go, left, right } = await startAround();
      await go.call('publish', { topic, data: Buffer.from('no record').toString('base64') });
      await until(left, () => verdicts(left, 'reject', 'NETWORK_RECORD_MALFORMED') === 1, 20_000);
      const foreign = await signNodeRecord(await createTestIdentity(), Date.now());
      await go.call('publish', { topic, data: Buffer.from(encodeRecordWire(foreign.wire)).toString('base64') });
      await until(left, () => verdicts(left, 'reject', 'NETWORK_RECORD_WRONG_PUBLISHER') === 1, 20_000);
      expect(verdicts(left, 'accept') + verdicts(right, 'accept')).toBe(0);
      expect(left.network.peers.get(foreign.signer)?.record ?? null).toBeNull();
    });
  });

  describe('with a slow reader', () => {
    const PROTOCOL = '/fogproof/interop/bulk/1';
    const SIZE = 32 * 1024 * 1024;
    /** A window of yamux at either end, and what the sockets and the encryption hold. */
    const HELD_AT_MOST = 24 * 1024 * 1024;

    it('stops writing until the node reads, and loses nothing', async () => {
      const { host, identity } = await startInteropHost(open);
      const { go, address } = await startGo();
      const accepted = Promise.withResolvers<Stream>();
      await host.handle(PROTOCOL, (stream) => {
        stream.pause();
        accepted.resolve(stream);
      });
      await host.dial(multiaddr(address));
      await identifiedBy(go, identity);
      await go.call('send-bulk', { peer: identity.peer, protocol: PROTOCOL, size: SIZE });
      const stream = await accepted.promise;
      const held = await settle(
        () => go.call<number>('bulk-sent'),
        () => go.call('ping', { peer: identity.peer }),
      );
      expect(held).toBeGreaterThan(0);
      expect(held).toBeLessThan(HELD_AT_MOST);

      const digest = createHash('sha256');
      let received = 0;
      stream.resume();
      for await (const part of stream) {
        const bytes = part.subarray();
        digest.update(bytes);
        received += bytes.length;
      }
      const sent = await go.call<{ bytes: number; sha256: string }>('bulk-result');
      expect({ bytes: received, sha256: digest.digest('hex') }).toEqual(sent);
      expect(received).toBe(SIZE);
    });

    it('makes the node wait until it reads, and gets everything', async () => {
      const { host } = await startInteropHost(open);
      const { go, address } = await startGo();
      await go.call('hold-bulk', { protocol: PROTOCOL });
      const connection = await host.dial(multiaddr(address));
      const stream = await connection.newStream(PROTOCOL);
      const chunk = new Uint8Array(64 * 1024).map((_, index) => index);
      const digest = createHash('sha256');
      // Not by `stream.onDrain`: in @libp2p/utils 7.4.1 it waits the first time only.
      const writer = new FrameWriter(stream);
      let sent = 0;
      const write = async (): Promise<void> => {
        while (sent < SIZE) {
          await writer.send(chunk);
          digest.update(chunk);
          sent += chunk.length;
        }
        // What is queued leaves in the microtask after.
        await Promise.resolve();
        await stream.close();
      };
      const written = write();
      const peer = peerIdFromString(go.peer);
      const held = await settle(
        () => Promise.resolve(sent),
        () => pingOf(host, peer),
      );
      expect(held).toBeGreaterThan(0);
      expect(held).toBeLessThan(HELD_AT_MOST);
      const [read] = await Promise.all([go.call<{ bytes: number; sha256: string }>('read-bulk'), written]);
      expect(read).toEqual({ bytes: SIZE, sha256: digest.digest('hex') });
    });

    /** What `look` gives once it has stayed the same over ten round trips on the same connection. */
    async function settle(look: () => Promise<number>, roundTrip: () => Promise<unknown>): Promise<number> {
      let last = await look();
      for (let same = 0; same < 10; ) {
        await roundTrip();
        const next = await look();
        same = next === last && next > 0 ? same + 1 : 0;
        last = next;
      }
      return last;
    }
  });
});
